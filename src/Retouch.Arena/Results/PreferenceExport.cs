using System.Security.Cryptography;
using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Arena.Results;

/// <summary>Options of a preference export.</summary>
public sealed record PreferenceOptions
{
    /// <summary>Question whose verdicts become preferences: <see cref="Question.Appeal"/> or <see cref="Question.Flaws"/>.</summary>
    public Question Question { get; init; } = Question.Appeal;

    /// <summary>Minimum ratings per comparison; null: the study's number.</summary>
    public int? Ratings { get; init; }

    /// <summary>Also write ties.jsonl with the tied pairs.</summary>
    public bool Ties { get; init; }

    /// <summary>
    /// Hard links instead of copies where the file system supports them; in-place changes then affect both files.
    /// </summary>
    public bool Link { get; init; }
}

/// <summary>Result of an export.</summary>
/// <param name="Folder">Folder of the data set.</param>
/// <param name="Preferences">Lines of metadata.jsonl: winners with their losers.</param>
/// <param name="Pairs">Pairs of a winner and a loser.</param>
/// <param name="Ties">Tied comparisons.</param>
/// <param name="Short">Comparisons with too few ratings.</param>
/// <param name="Contradictions">Contradictory verdicts, which are excluded.</param>
public sealed record PreferenceResult(string Folder, int Preferences, int Pairs, int Ties, int Short, IReadOnlyList<string> Contradictions);

/// <summary>
/// Exports a study as a preference data set: <c>images/</c>, and <c>metadata.jsonl</c> with <c>winner</c>, <c>loser</c> (list of all
/// losers to the winner), <c>caption</c> and <c>label</c>.
/// </summary>
internal static class PreferenceExport
{
    /// <summary>Writes the data set atomically.</summary>
    /// <param name="file">Study.</param>
    /// <param name="root">Folder of its pictures.</param>
    /// <param name="output">Output folder, new or empty.</param>
    /// <param name="options">Options of the export.</param>
    /// <exception cref="UsageException">The folder is not empty, or the question is about single pictures.</exception>
    /// <exception cref="InputException">A picture is missing or has changed since it was judged, or there are no preferences
    /// yet.</exception>
    public static PreferenceResult Write(StudyFile file, string root, string output, PreferenceOptions options)
    {
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new UsageException(
                $"'{output}' is not empty. Choose another folder with --output; existing files are never overwritten."
            );
        var set = PreferenceSet.Of(file, options);
        AtomicFolder.Write(
            output,
            folder =>
            {
                foreach (var picture in set.Pictures)
                    Put(picture, root, folder, options.Link);
                foreach (var (name, text) in set.Texts)
                    File.WriteAllText(Path.Combine(folder, name), text);
            }
        );
        return set.Result with { Folder = Path.GetFullPath(output) };
    }

    private static void Put(ModelPicture picture, string root, string folder, bool link)
    {
        var source = PreferenceSet.FileOf(picture, root);
        var target = Path.Combine(folder, PreferenceSet.NameOf(picture));
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        if (!link || !HardLink.TryMake(source, target))
            File.Copy(source, target);
        // The hash of the exported file, link or copy, must equal that of the judged picture.
        using var stream = File.OpenRead(target);
        PreferenceSet.Check(picture, source, SHA256.HashData(stream));
    }
}
