using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;

namespace Retouch.Evaluation.Judging;

/// <summary>A picture that is to be judged.</summary>
/// <param name="Name">Its folder's name and its path in it, with '/'; no two candidates have the same.</param>
/// <param name="Path">The file.</param>
/// <param name="Prompt">What it was drawn from; null where only a class is known.</param>
/// <param name="Label">Its class, an int or a text, as the metadata give it; null without one.</param>
internal sealed record Candidate(string Name, string Path, string? Prompt, object? Label)
{
    /// <summary>What it is of, for messages.</summary>
    public string Subject => Prompt is null ? $"class {Label}" : $"\"{Excerpt.Of(Prompt)}\"";
}

/// <summary>
/// Folders of pictures as <c>retouch sample</c> writes them: candidates of the same prompt and class are compared, whichever folder they
/// are in.
/// </summary>
internal static class CandidateFolders
{
    /// <summary>The candidates by what they are of, in the order in which that first appears; within it by folder, then by path.</summary>
    /// <exception cref="UsageException">A folder is named twice.</exception>
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
                throw new UsageException($"'{folder}' is named twice; name each folder of candidates once.");
            var name = Unique(Path.GetFileName(Path.TrimEndingDirectorySeparator(source.Root)), names);
            for (var k = 0; k < source.Count; k++)
            {
                var sample = source[k];
                if (sample.Caption is null && source.GivenLabel(k) is null)
                    throw new InputException(
                        $"The picture '{source.FilePath(k)}' has neither a prompt nor a class, so that it is not known what it "
                            + $"competes with. Give it a line in metadata.jsonl ({{\"file_name\": ..., \"text\": ...}}) or a .txt file "
                            + $"beside it."
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
            throw new InputException("Some classes in the metadata of the candidates are names and some are numbers; use one kind.");
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
