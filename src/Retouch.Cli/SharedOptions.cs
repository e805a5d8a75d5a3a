using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Experiments.Sampling;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Distributed;

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

    /// <summary>Description of a batch size that affects memory and time only.</summary>
    public const string PicturesAtOnce = "Batch size: pictures processed at once; does not change the results.";

    /// <summary>Names of options of earlier versions.</summary>
    public static (string Old, string Now)[] OldNames { get; } = [("--batch", BatchSizeName)];

    /// <summary>Batch size of all verbs that process several pictures or samples at once.</summary>
    /// <param name="fallback">Default.</param>
    /// <param name="description">Description, with the unit of the batch.</param>
    public static Option<int> BatchSize(int fallback, string description = PicturesAtOnce) =>
        Number(BatchSizeName, fallback, new() { AtLeast = 1 }, description);

    /// <summary>Names of compute types, for descriptions and messages.</summary>
    public const string Precisions = "float32, bfloat16 or float16 (also fp32, bf16, fp16)";

    /// <summary>Restricts an option to compute types, by name or abbreviation, in any case.</summary>
    public static Option<T> OfPrecision<T>(this Option<T> option)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [.., var token] && DTypes.FindPrecision(token.Value) is null)
                result.AddError($"{option.Name} is '{token.Value}'; it must be {Precisions}.");
        });
        return option;
    }

    /// <summary>Compute type of a verb.</summary>
    public static Option<string> Precision() =>
        new Option<string>("--precision")
        {
            Description = $"Mixed precision: {Precisions}.",
            DefaultValueFactory = static _ => DType.Float32.Name(),
        }.OfPrecision();

    /// <summary>Compute type given by an option of <see cref="Precision"/>.</summary>
    /// <exception cref="UsageException">The device cannot compute in this type.</exception>
    public static DType GetPrecision(this ParseResult parsed, Option<string> option, Device device)
    {
        var type = DTypes.FindPrecision(parsed.GetValue(option)!)!.Value;
        return MixedPrecision.Refusal(device, type) is { } reason ? throw new UsageException($"{option.Name}: {reason}.") : type;
    }

    /// <summary>Classes of sampled pictures.</summary>
    public static Option<string[]> Class(string description) =>
        new(ClassRotation.Option) { Description = description, AllowMultipleArgumentsPerToken = true };

    /// <summary>One of the values of an enumeration, in lower case; other capitalisation is accepted.</summary>
    public static Option<T?> Choice<T>(string name, string description)
        where T : struct, Enum =>
        new(name) { Description = description, HelpName = string.Join('|', Enum.GetNames<T>().Select(static n => n.ToLowerInvariant())) };

    /// <summary>A whole number with a default.</summary>
    public static Option<int> Number(string name, int fallback, BoundsAttribute bounds, string description) =>
        new Option<int>(name) { Description = description, DefaultValueFactory = _ => fallback }.Within(bounds);

    /// <summary>Adds bounds to an option's value; values outside them are usage errors.</summary>
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

    /// <summary>Replaces option names of earlier versions in a command line by the current names.</summary>
    /// <param name="command">Parsed command.</param>
    /// <param name="args">Command line.</param>
    /// <param name="notes">Receives a note per old name.</param>
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

    /// <summary>Folder of a model: the given one, or the result of the run in it (<see cref="RunModel"/>), with a note.</summary>
    /// <param name="parsed">Parsed command line.</param>
    /// <param name="folder">Folder of a model or of a run.</param>
    public static string ModelAt(this ParseResult parsed, string folder) =>
        RunModel.Of(folder, note => Notes.Write([note], parsed.InvocationConfiguration.Error));

    /// <summary>Folder of a model given by an option.</summary>
    /// <exception cref="InputException">The folder is a run without a finished model.</exception>
    public static string? ModelOf(this ParseResult parsed, Option<string?> option) =>
        parsed.GetValue(option) is { } folder ? parsed.ModelAt(folder) : null;

    /// <summary>Device given by <see cref="Device"/>.</summary>
    /// <exception cref="UsageException">The name is invalid.</exception>
    /// <exception cref="EnvironmentException">The device is not available.</exception>
    public static Device GetDevice(this ParseResult parsed, World? world = null) =>
        World.DeviceOf(parsed.GetValue(Device) ?? Torch.Device.Auto, world).Require();
}
