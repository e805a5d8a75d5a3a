using System.Security.Cryptography;
using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Arena.Results;

/// <summary>What becomes a preference.</summary>
public sealed record PreferenceOptions
{
    /// <summary>The question whose verdicts are taken: <see cref="Question.Appeal"/> or <see cref="Question.Flaws"/>.</summary>
    public Question Question { get; init; } = Question.Appeal;

    /// <summary>Ratings that a comparison needs; null takes the study's own number.</summary>
    public int? Ratings { get; init; }

    /// <summary>Also write ties.jsonl with the pairs that were even.</summary>
    public bool Ties { get; init; }

    /// <summary>
    /// Hard links instead of copies, where the file system can: no space is taken, but files that are changed in place change in both.
    /// </summary>
    public bool Link { get; init; }
}

/// <summary>What an export wrote.</summary>
/// <param name="Folder">Where.</param>
/// <param name="Preferences">Lines: winners with their losers.</param>
/// <param name="Pairs">Winner and loser, each pair once.</param>
/// <param name="Ties">Comparisons that were even.</param>
/// <param name="Short">Comparisons with too few ratings.</param>
/// <param name="Contradictions">What was left out because it contradicts itself.</param>
public sealed record PreferenceResult(string Folder, int Preferences, int Pairs, int Ties, int Short, IReadOnlyList<string> Contradictions);

/// <summary>
/// Makes a preference data set of a study: <c>images/</c>, and <c>metadata.jsonl</c> with <c>winner</c>, <c>loser</c> (a list: all that
/// lost to the winner) and <c>caption</c>.
/// </summary>
internal static class PreferenceExport
{
    /// <summary>Writes the data set, as a whole or not at all.</summary>
    /// <param name="file">The study.</param>
    /// <param name="root">The folder of its pictures.</param>
    /// <param name="output">The folder to write; new or empty.</param>
    /// <param name="options">What becomes a preference.</param>
    /// <exception cref="UsageException">The folder is not empty, or the question is about single pictures.</exception>
    /// <exception cref="InputException">A picture is gone or has changed since it was judged, or there is no preference yet.</exception>
    public static PreferenceResult Write(StudyFile file, string root, string output, PreferenceOptions options)
    {
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new UsageException($"'{output}' is not empty. Choose another folder with --output; nothing is ever overwritten.");
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
        // A link is checked after it is made and a copy is what was read: what lies in the data set is what was judged.
        using var stream = File.OpenRead(target);
        PreferenceSet.Check(picture, source, SHA256.HashData(stream));
    }
}
