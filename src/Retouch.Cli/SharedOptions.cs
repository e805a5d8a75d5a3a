using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Cli;

/// <summary>Options of every verb, and options with the same meaning in several verbs.</summary>
internal static class SharedOptions
{
    /// <summary>Results as JSON on stdout instead of text.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Print the result as JSON.", Recursive = true };

    /// <summary>Stack traces with errors.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Print stack traces of errors.", Recursive = true };

    /// <summary>Compute device, for every verb that computes.</summary>
    public static Option<string?> Device { get; } =
        new("--device")
        {
            Description = "Compute device: cpu, cuda, cuda:N, or auto (default): the first GPU that libtorch can use, else the CPU.",
        };

    /// <summary>Name of <see cref="BatchSize"/>.</summary>
    public const string BatchSizeName = "--batch-size";

    /// <summary>Description of the batch size of a training step.</summary>
    public const string SamplesPerStep = "Batch size: samples per step.";

    /// <summary>Description of a batch size that decides memory and time alone.</summary>
    public const string PicturesAtOnce = "Batch size: pictures processed at once; does not change the results.";

    /// <summary>Names of options of earlier versions.</summary>
    public static (string Old, string Now)[] OldNames { get; } = [("--batch", BatchSizeName)];

    /// <summary>The batch size, of every verb that processes several pictures or samples at once.</summary>
    /// <param name="fallback">Default.</param>
    /// <param name="description">What a batch consists of.</param>
    public static Option<int> BatchSize(int fallback, string description = PicturesAtOnce) =>
        Number(BatchSizeName, fallback, new() { AtLeast = 1 }, description);

    /// <summary>A whole number with a default.</summary>
    public static Option<int> Number(string name, int fallback, BoundsAttribute bounds, string description) =>
        new Option<int>(name) { Description = description, DefaultValueFactory = _ => fallback }.Within(bounds);

    /// <summary>Adds the bounds of an option's value: others are bad usage.</summary>
    public static Option<T> Within<T>(this Option<T> option, BoundsAttribute bounds)
    {
        option.Validators.Add(result =>
        {
            // Values of another kind are reported by the parser.
            if (
                result.Tokens is [.., var token]
                && double.TryParse(token.Value, CultureInfo.InvariantCulture, out var value)
                && !bounds.Contains(value)
            )
                result.AddError($"{option.Name} is {token.Value}; it must {bounds}.");
        });
        return option;
    }

    /// <summary>The command line with current names instead of those of earlier versions.</summary>
    /// <param name="command">The command that was parsed.</param>
    /// <param name="args">Its command line.</param>
    /// <param name="notes">Receives a note for every old name.</param>
    public static string[] Renew(Command command, string[] args, TextWriter notes)
    {
        foreach (var (old, now) in OldNames.Where(pair => command.Options.Any(option => option.Name == pair.Now)))
        {
            bool IsOld(string token) => token == old || token.StartsWith(old + "=", StringComparison.Ordinal);
            var end = Array.IndexOf(args, "--") is >= 0 and var literal ? literal : args.Length;
            if (!args.Take(end).Any(IsOld))
                continue;
            args = [.. args.Select((token, k) => k < end && IsOld(token) ? now + token[old.Length..] : token)];
            Notes.Write([$"{old} is an old name; it is now {now}."], notes);
        }

        return args;
    }

    /// <summary>The device that <see cref="Device"/> names.</summary>
    /// <exception cref="UsageException">It names none.</exception>
    /// <exception cref="EnvironmentException">The device is not available.</exception>
    public static Device GetDevice(this ParseResult parsed) => Torch.Device.Parse(parsed.GetValue(Device) ?? Torch.Device.Auto).Require();
}
