using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Images;

namespace Retouch.Data.Pairs;

/// <summary>
/// Preference pairs listed in a <c>metadata.jsonl</c>; see <see cref="PairList"/> for the format. A winner with several losers gives
/// one pair per loser.
/// </summary>
public sealed class PairFolder : IPairSource
{
    private readonly string _root;
    private readonly PairList _list;
    private readonly FolderLabels _labels;
    private readonly PictureReading _reading;

    private PairFolder(string root, PairList list, PictureReading reading)
    {
        _root = root;
        _list = list;
        _reading = reading;
        string[] missing =
        [
            .. list
                .Pairs.SelectMany(static p => new[] { (File: p.Winner, p.Where), (File: p.Loser, p.Where) })
                .DistinctBy(static f => f.File)
                .Where(f => !File.Exists(FullPath(f.File)))
                .Select(static f => $"'{f.File}' ({f.Where})"),
        ];
        if (missing.Length > 0)
            throw new InputException(
                $"{missing.Length} pictures of the pairs do not exist:\n  "
                    + $"{string.Join("\n  ", Excerpt.First(missing))}\nAdd the files, or remove the lines."
            );
        // Folders of pairs name the source of the pictures, not classes.
        _labels = FolderLabels.Assign([.. list.Pairs.Select(static _ => "")], [.. list.Pairs.Select(static p => p.Label)]);
    }

    /// <inheritdoc/>
    public int Count => _list.Pairs.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _labels.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _labels.AreNumbers;

    /// <summary>Statistics of the list.</summary>
    public PairReport Report => _list.Report;

    /// <inheritdoc/>
    public Sample this[int index] => new(_list.Pairs[index].Winner, _labels.Labels[index], _list.Pairs[index].Caption);

    /// <summary>Reads a list; pictures are read on demand.</summary>
    /// <param name="path">The list, or the folder with its <c>metadata.jsonl</c>.</param>
    /// <param name="conflicts">Handling of ties and contradictions.</param>
    /// <param name="reading">Decoder options.</param>
    /// <exception cref="InputException">The list does not exist, a line is malformed, a picture is missing, or no pair
    /// remains.</exception>
    public static PairFolder Open(string path, PairConflicts conflicts = PairConflicts.Skip, PictureReading? reading = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var file = Directory.Exists(path) ? Path.Combine(path, "metadata.jsonl") : path;
        if (!File.Exists(file))
            throw new InputException(
                Directory.Exists(path)
                    ? $"'{path}' contains no metadata.jsonl that lists pairs; write one, or name the list itself."
                    : $"There is no list of pairs '{path}'; check the path."
            );
        file = Path.GetFullPath(file);
        return new PairFolder(Path.GetDirectoryName(file)!, PairList.Read(file, conflicts), reading ?? PictureReading.Default);
    }

    /// <inheritdoc/>
    public Sample Loser(int index) => this[index] with { Id = _list.Pairs[index].Loser };

    /// <summary>Lengths and modification times of both files.</summary>
    public string Stamp(int index) => $"{Stamp(_list.Pairs[index].Winner)}+{Stamp(_list.Pairs[index].Loser)}";

    /// <summary>Winner and loser.</summary>
    public IReadOnlyList<string> FilesOf(int index) => [FullPath(_list.Pairs[index].Winner), FullPath(_list.Pairs[index].Loser)];

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => Load(_list.Pairs[index].Winner, minSide);

    /// <inheritdoc/>
    public SourcePicture LoadLoser(int index, int minSide = 0) => Load(_list.Pairs[index].Loser, minSide);

    private SourcePicture Load(string name, int minSide)
    {
        var loaded = PictureFile.LoadWithInfo(FullPath(name), _reading with { MinSide = minSide });
        return new SourcePicture(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    private string Stamp(string name) =>
        new FileInfo(FullPath(name)) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{file.LastWriteTimeUtc.Ticks}")
            : "gone";

    private string FullPath(string name) => Path.Combine(_root, name.Replace('/', Path.DirectorySeparatorChar));
}
