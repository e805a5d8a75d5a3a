using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;

namespace Retouch.Evaluation.Judging;

/// <summary>A picture to judge.</summary>
/// <param name="Name">Unique name: the folder's name and the relative path, with '/'.</param>
/// <param name="Path">Path of the file.</param>
/// <param name="Prompt">Prompt; null if only a class is known.</param>
/// <param name="Label">Class, an integer or a text as in the metadata; null without one.</param>
internal sealed record Candidate(string Name, string Path, string? Prompt, object? Label)
{
    /// <summary>Prompt or class, for messages.</summary>
    public string Subject => Prompt is null ? $"class {Label}" : $"\"{Excerpt.Of(Prompt)}\"";
}

/// <summary>
/// Folders of pictures as written by <c>retouch sample</c>: candidates with equal prompt and class are compared, across all folders.
/// </summary>
internal static class CandidateFolders
{
    /// <summary>Candidates grouped by prompt and class, groups in order of first appearance; within a group by folder, then by
    /// path.</summary>
    /// <exception cref="UsageException">A folder is given twice.</exception>
    /// <exception cref="InputException">A folder cannot be read, or a picture has neither prompt nor class.</exception>
    public static IReadOnlyList<IReadOnlyList<Candidate>> Read(IReadOnlyList<string> folders)
    {
        var groups = new Dictionary<(string?, object?), List<Candidate>>();
        List<List<Candidate>> ordered = [];
        HashSet<string> roots = new(StringComparer.Ordinal),
            names = new(StringComparer.Ordinal);
        foreach (var folder in folders)
        {
            var source = ImageFolder.Open(folder);
            if (!roots.Add(RealPath.Of(source.Root)))
                throw new UsageException($"'{folder}' is given twice. Give each folder of candidates once.");
            var name = Unique(Path.GetFileName(Path.TrimEndingDirectorySeparator(source.Root)), names);
            for (var k = 0; k < source.Count; k++)
            {
                var sample = source[k];
                if (sample.Caption is null && source.GivenLabel(k) is null)
                    throw new InputException(
                        $"The picture '{source.FilePath(k)}' has neither a prompt nor a class, so that it cannot be grouped "
                            + $"with other candidates. Add a line to metadata.jsonl ({{\"file_name\": ..., \"text\": ...}}) or a .txt file "
                            + $"next to it."
                    );
                if (!groups.TryGetValue((sample.Caption, source.GivenLabel(k)), out var group))
                {
                    groups.Add((sample.Caption, source.GivenLabel(k)), group = []);
                    ordered.Add(group);
                }

                group.Add(new($"{name}/{sample.Id}", source.FilePath(k), sample.Caption, source.GivenLabel(k)));
            }
        }

        if (groups.Keys.Any(static k => k.Item2 is string) && groups.Keys.Any(static k => k.Item2 is int))
            throw new InputException("The candidates' metadata mix class names and class numbers; use one of them.");
        return ordered;
    }

    private static string Unique(string name, HashSet<string> taken)
    {
        var unique = name;
        for (var k = 2; !taken.Add(unique); k++)
            unique = $"{name}-{k}";
        return unique;
    }
}
