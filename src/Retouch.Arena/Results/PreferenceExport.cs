using System.Security.Cryptography;
using System.Text.Json;
using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Data;
using Retouch.Torch.Errors;
using Retouch.Torch.Io;

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

    /// <summary>Hard links instead of copies, where the file system can: no space is taken, but files that are changed in place change in both.</summary>
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
/// Makes a preference data set of a study: <c>images/</c>, and <c>metadata.jsonl</c> with <c>winner</c>, <c>loser</c> (a list: all that lost to the
/// winner) and <c>caption</c>.
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
        if (!options.Question.IsPaired())
            throw new UsageException("--question alignment is about single pictures; preferences come from appeal or flaws.");
        if (File.Exists(output) || (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any()))
            throw new UsageException($"'{output}' is not empty. Choose another folder with --output; nothing is ever overwritten.");
        var pictures = file.Pictures().ToDictionary(static p => (p.Model, p.Item));
        var items = ResultsBuilder.Of(file, options.Ratings).Items.Where(i => i.Question == options.Question.Name()).ToList();
        var (kept, contradictions) = Preferences.Of(items, (model, item) => pictures[(model, item)].Sha256);
        if (kept.Count == 0)
            throw new InputException($"No comparison of '{options.Question.Name()}' has a winner yet: {items.Count(static i => i.Verdict == "short")} lack ratings, {items.Count(static i => i.Verdict == "tie")} are ties. Let more be judged, or lower --ratings.");
        var ties = options.Ties ? items.Where(static i => i.Verdict == "tie").ToList() : [];
        var used = kept.SelectMany(static p => p.Losers.Prepend(p.Winner).Select(m => (m, p.Item))).Concat(ties.SelectMany(static t => new[] { (t.First, t.Item), (t.Second!, t.Item) })).Distinct().Select(k => pictures[k]);
        AtomicFolder.Write(output, folder =>
        {
            foreach (var picture in used)
                Put(picture, root, folder, options.Link);
            var lines = kept.Select(p => JsonSerializer.Serialize(new { Winner = Name(p.Winner, p.Item), Loser = p.Losers.Select(m => Name(m, p.Item)), p.Caption }, VoteLines.Json));
            File.WriteAllText(Path.Combine(folder, "metadata.jsonl"), Lines(lines));
            if (options.Ties)
                File.WriteAllText(Path.Combine(folder, "ties.jsonl"), Lines(ties.Select(t => JsonSerializer.Serialize(new { Pictures = new[] { Name(t.First, t.Item), Name(t.Second!, t.Item) }, Caption = t.Prompt }, VoteLines.Json))));
        });
        return new(
            Path.GetFullPath(output), kept.Count, kept.Sum(static p => p.Losers.Count), items.Count(static i => i.Verdict == "tie"), items.Count(static i => i.Verdict == "short"), contradictions);

        string Name(string model, string item) => "images/" + pictures[(model, item)].Path;
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(static l => l + "\n"));

    private static void Put(ModelPicture picture, string root, string folder, bool link)
    {
        var source = Path.Combine(root, picture.Path);
        var target = Path.Combine(folder, "images", picture.Path);
        if (!File.Exists(source))
            throw new InputException($"The picture '{source}' is gone; put it back, it was judged.");
        // A link is checked after it is made and a copy is what was read: what lies in the data set is what was judged.
        if (!RealPath.Of(source).StartsWith(RealPath.Of(root) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw new InputException($"'{source}' is a link that leads out of '{root}'; put the picture itself there.");
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        if (!link || !HardLink.TryMake(source, target))
            File.Copy(source, target);
        using var stream = File.OpenRead(target);
        if (Convert.ToHexStringLower(SHA256.HashData(stream)) != picture.Sha256)
            throw new InputException($"The picture '{source}' has changed since it was judged; put the old one back.");
    }
}
