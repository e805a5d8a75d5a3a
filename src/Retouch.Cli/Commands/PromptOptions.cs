using System.CommandLine;
using Retouch.Conditioning;
using Retouch.Conditioning.Prompts;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary>Prompts and encoded conditions of the requested pictures.</summary>
/// <param name="Prompts">One prompt per picture.</param>
/// <param name="Conditions">One condition per picture, on the CPU; not owned by a scope.</param>
/// <param name="Unconditional">Condition of the negative or empty prompt.</param>
internal sealed record PromptedPictures(IReadOnlyList<string> Prompts, IReadOnlyList<Condition> Conditions, Condition Unconditional);

/// <summary>Options of verbs that sample by prompt.</summary>
internal static class PromptOptions
{
    private static readonly Option<string[]> Prompt = new("--prompt") { Description = "Prompt of the pictures; can be repeated." };
    private static readonly Option<string?> File = new("--prompts")
    {
        Description = "A file of prompts: one per line, or .jsonl with a member prompt, text or caption.",
    };
    private static readonly Option<string?> Negative = new("--negative")
    {
        Description = "Negative prompt for guidance; default: the empty prompt.",
    };
    private static readonly Option<int> Each = new Option<int>("--images-per-prompt")
    {
        Description = "Pictures per prompt.",
        DefaultValueFactory = static _ => 1,
    }.Within(new() { AtLeast = 1 });

    public static void AddTo(Command command)
    {
        foreach (var option in (Option[])[Prompt, File, Negative, Each])
            command.Add(option);
    }

    /// <summary>Prompt of each picture, in sampling order; null without prompts.</summary>
    /// <exception cref="UsageException">Options are contradictory.</exception>
    /// <exception cref="InputException">The file of prompts cannot be read or is empty.</exception>
    public static IReadOnlyList<string>? Read(ParseResult parsed)
    {
        string[] prompts = [.. parsed.GetValue(Prompt) ?? [], .. parsed.GetValue(File) is { } path ? PromptFile.Read(path) : []];
        var each = parsed.GetValue(Each);
        if (prompts.Length > 0)
            return [.. prompts.SelectMany(p => Enumerable.Repeat(p, each))];
        return parsed.GetValue(Negative) is null && each == 1
            ? null
            : throw new UsageException("--negative and --images-per-prompt need --prompt or --prompts.");
    }

    /// <summary>Encodes the prompts of pictures; the encoders are in memory only during this call.</summary>
    /// <param name="pipeline">Pipeline with the text encoders.</param>
    /// <param name="prompts">Prompts from <see cref="Read"/>.</param>
    /// <param name="parsed">Command line.</param>
    /// <param name="height">Height of the pictures in pixels.</param>
    /// <param name="width">Width of the pictures in pixels.</param>
    /// <param name="device">Device of the encoders.</param>
    public static PromptedPictures Encode(
        LatentDiffusionPipeline pipeline,
        IReadOnlyList<string> prompts,
        ParseResult parsed,
        int height,
        int width,
        Device device
    )
    {
        using var encoders = pipeline.LoadPromptEncoders(device);
        var known = new Dictionary<string, Condition>(StringComparer.Ordinal);
        Condition Of(string prompt)
        {
            if (known.TryGetValue(prompt, out var condition))
                return condition;
            using var scope = TensorScope.Enter();
            var encoded = encoders.Encoder.Encode([prompt]);
            foreach (var cut in encoded.Cut)
                parsed.InvocationConfiguration.Error.WriteLine(
                    $"note: the prompt '{Excerpt.Of(prompt)}' exceeds the encoder's maximum length; truncated: '{Excerpt.Of(cut.Dropped)}'"
                );
            var whole = encoders.Encoder.TakesTimeIds
                ? encoded.Condition with
                {
                    TimeIds = MicroConditioning.ToTensor([MicroConditioning.Whole(height, width)], device),
                }
                : encoded.Condition;
            return known[prompt] = whole.To(Device.Cpu).Escape();
        }

        return new PromptedPictures(prompts, [.. prompts.Select(Of)], Of(parsed.GetValue(Negative) ?? ""));
    }

    /// <summary>Negative prompt, or null.</summary>
    public static string? NegativeOf(ParseResult parsed) => parsed.GetValue(Negative);
}
