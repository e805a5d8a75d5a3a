using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Data;

namespace Retouch.Conditioning.Prompts;

/// <summary>
/// Reads prompt files: one prompt per line, or in a <c>.jsonl</c> one object per line with a member <c>prompt</c>, <c>text</c> or
/// <c>caption</c>.
/// </summary>
public static class PromptFile
{
    /// <summary>Prompts in file order; empty lines are skipped.</summary>
    /// <exception cref="InputException">The file cannot be read or has no prompts, or a line of a <c>.jsonl</c> has none.</exception>
    public static IReadOnlyList<string> Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var prompts = path.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) ? Members(path) : Lines(path);
        return prompts.Count > 0 ? prompts : throw new InputException($"'{path}' contains no prompts.");
    }

    private static List<string> Lines(string path) =>
        [.. PlainText.ReadLines(path).Where(static l => !string.IsNullOrWhiteSpace(l)).Select(static l => l.Trim())];

    private static List<string> Members(string path)
    {
        var prompts = new List<string>();
        JsonLines.Read(
            path,
            "{\"prompt\": ...}",
            (entry, where) =>
                prompts.Add(
                    JsonLines.Text(entry, "prompt", where)
                        ?? JsonLines.Text(entry, "text", where)
                        ?? JsonLines.Text(entry, "caption", where)
                        ?? throw new InputException($"There is no text under prompt, text or caption in {where}.")
                )
        );
        return prompts;
    }
}
