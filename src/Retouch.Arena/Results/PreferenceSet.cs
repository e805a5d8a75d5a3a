using System.Text.Json;
using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Arena.Votes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Data;

namespace Retouch.Arena.Results;

/// <summary>Content of a preference data set before it is written.</summary>
/// <param name="Result">Counts, without a folder.</param>
/// <param name="Pictures">Pictures, without duplicates.</param>
/// <param name="Texts">Text files by name.</param>
internal sealed record PreferenceSet(
    PreferenceResult Result,
    IReadOnlyList<ModelPicture> Pictures,
    IReadOnlyDictionary<string, string> Texts
)
{
    /// <summary>Preferences from the current votes of a study.</summary>
    /// <param name="file">Study.</param>
    /// <param name="options">Options of the export.</param>
    /// <exception cref="UsageException">The question is about single pictures.</exception>
    /// <exception cref="InputException">There are no preferences yet.</exception>
    public static PreferenceSet Of(StudyFile file, PreferenceOptions options)
    {
        if (!options.Question.IsPaired())
            throw new UsageException("--question alignment is about single pictures; preferences come from appeal or flaws.");
        var labels = file.Items().ToDictionary(static i => i.Key, static i => i.Label);
        var pictures = file.Pictures().ToDictionary(static p => (p.Model, p.Item));
        var items = ResultsBuilder.Of(file, options.Ratings).Items.Where(i => i.Question == options.Question.Name()).ToList();
        var (kept, contradictions) = Preferences.Of(items, (model, item) => pictures[(model, item)].Sha256);
        var (even, lacking) = (items.Count(static i => i.Verdict == "tie"), items.Count(static i => i.Verdict == "short"));
        if (kept.Count == 0)
            throw new InputException(
                $"No comparison of '{options.Question.Name()}' has a winner yet: {lacking} lack ratings, {even} are ties. Collect "
                    + $"more ratings, or lower --ratings."
            );
        var ties = options.Ties ? items.Where(static i => i.Verdict == "tie").ToList() : [];
        var used = kept.SelectMany(static p => p.Losers.Prepend(p.Winner).Select(m => (m, p.Item)))
            .Concat(ties.SelectMany(static t => new[] { (t.First, t.Item), (t.Second!, t.Item) }))
            .Distinct()
            .Select(k => pictures[k]);
        var texts = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["metadata.jsonl"] = Lines(
                kept.Select(p =>
                    JsonSerializer.Serialize(
                        new
                        {
                            Winner = Name(p.Winner, p.Item),
                            Loser = p.Losers.Select(m => Name(m, p.Item)),
                            p.Caption,
                            Label = labels.GetValueOrDefault(p.Item),
                        },
                        JsonStyles.DatasetTable
                    )
                )
            ),
        };
        if (options.Ties)
            texts["ties.jsonl"] = Lines(
                ties.Select(t =>
                    JsonSerializer.Serialize(
                        new
                        {
                            Pictures = new[] { Name(t.First, t.Item), Name(t.Second!, t.Item) },
                            Caption = t.Prompt,
                            Label = labels.GetValueOrDefault(t.Item),
                        },
                        JsonStyles.DatasetTable
                    )
                )
            );
        return new(new("", kept.Count, kept.Sum(static p => p.Losers.Count), even, lacking, contradictions), [.. used], texts);

        string Name(string model, string item) => NameOf(pictures[(model, item)]);
    }

    /// <summary>Name of a picture within the data set, with '/'.</summary>
    public static string NameOf(ModelPicture picture) => "images/" + picture.Path;

    /// <summary>File of a judged picture.</summary>
    /// <param name="picture">Picture.</param>
    /// <param name="root">Folder of the study's pictures.</param>
    /// <exception cref="InputException">The file is missing, or a symbolic link out of the folder.</exception>
    public static string FileOf(ModelPicture picture, string root)
    {
        var source = Path.Combine(root, picture.Path);
        if (!File.Exists(source))
            throw new InputException($"The picture '{source}' is missing; restore it, since it was judged.");
        return RealPath.Of(source).StartsWith(RealPath.Of(root) + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            ? source
            : throw new InputException($"'{source}' is a symbolic link out of '{root}'; replace it by the file.");
    }

    /// <summary>Checks that a picture is unchanged since it was judged.</summary>
    /// <param name="picture">Picture.</param>
    /// <param name="source">Path of its file, for messages.</param>
    /// <param name="hash">SHA-256 of the current content.</param>
    /// <exception cref="InputException">The picture has changed.</exception>
    public static void Check(ModelPicture picture, string source, ReadOnlySpan<byte> hash)
    {
        if (Convert.ToHexStringLower(hash) != picture.Sha256)
            throw new InputException($"The picture '{source}' has changed since it was judged; restore the original.");
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(static l => l + "\n"));
}
