using System.CommandLine;
using Retouch.Conditioning.Prompts;
using Retouch.Core.Errors;

namespace Retouch.Cli.Commands;

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

    /// <summary>Negative prompt, or null.</summary>
    public static string? NegativeOf(ParseResult parsed) => parsed.GetValue(Negative);
}
