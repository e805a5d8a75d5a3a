using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data.Pairs;

/// <summary>
/// Pairs of pictures that a <c>metadata.jsonl</c> lists; see <see cref="PairList"/> for what its lines say. Several losers of one winner
/// are as many pairs.
/// </summary>
public sealed class PairFolder : IPairSource
{
    private readonly string root;
    private readonly PairList list;
    private readonly FolderLabels labels;
    private readonly PictureReading reading;

    private PairFolder(string root, PairList list, PictureReading reading)
    {
        this.root = root;
        this.list = list;
        this.reading = reading;
        string[] missing =
        [
            .. list
                .Pairs.SelectMany(static p => new[] { (File: p.Winner, p.Where), (File: p.Loser, p.Where) })
                .DistinctBy(static f => f.File)
                .Where(f => !File.Exists(FullPath(f.File)))
                .Select(static f => $"'{f.File}' ({f.Where})"),
        ];
        const int Shown = 20;
        if (missing.Length > 0)
            throw new InputException(
                $"{missing.Length} pictures of the pairs do not exist:\n  "
                    + $"{string.Join("\n  ", missing.Take(Shown))}"
                    + $"{(missing.Length > Shown ? $"\n  … and {missing.Length - Shown} more" : "")}\nPut "
                    + $"them there, or take the lines out."
            );
        // Folders of pairs stand for what made the pictures, not for classes.
        labels = FolderLabels.Assign([.. list.Pairs.Select(static _ => "")], [.. list.Pairs.Select(static p => p.Label)]);
    }

    /// <inheritdoc/>
    public int Count => list.Pairs.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => labels.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => labels.AreNumbers;

    /// <summary>What the list held.</summary>
    public PairReport Report => list.Report;

    /// <inheritdoc/>
    public Sample this[int index] => new(list.Pairs[index].Winner, labels.Labels[index], list.Pairs[index].Caption);

    /// <summary>Reads a list; pictures are read later, one by one.</summary>
    /// <param name="path">The list, or the folder with its <c>metadata.jsonl</c>.</param>
    /// <param name="conflicts">What becomes of ties and contradictions.</param>
    /// <param name="reading">How pictures are read.</param>
    /// <exception cref="InputException">There is no such list, a line is malformed, a picture is missing, or no pair is left.</exception>
    public static PairFolder Open(string path, PairConflicts conflicts = PairConflicts.Skip, PictureReading? reading = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var file = Directory.Exists(path) ? Path.Combine(path, "metadata.jsonl") : path;
        if (!File.Exists(file))
            throw new InputException(
                Directory.Exists(path)
                    ? $"'{path}' holds no metadata.jsonl that lists pairs; write one, or name the list itself."
                    : $"There is no list of pairs '{path}'; check the path."
            );
        file = Path.GetFullPath(file);
        return new PairFolder(Path.GetDirectoryName(file)!, PairList.Read(file, conflicts), reading ?? PictureReading.Default);
    }

    /// <inheritdoc/>
    public Sample Loser(int index) => this[index] with { Id = list.Pairs[index].Loser };

    /// <summary>Lengths and times of both files.</summary>
    public string Stamp(int index) => $"{Stamp(list.Pairs[index].Winner)}+{Stamp(list.Pairs[index].Loser)}";

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => Load(list.Pairs[index].Winner, minSide);

    /// <inheritdoc/>
    public SourcePicture LoadLoser(int index, int minSide = 0) => Load(list.Pairs[index].Loser, minSide);

    private SourcePicture Load(string name, int minSide)
    {
        var loaded = PictureFile.LoadWithInfo(FullPath(name), reading with { MinSide = minSide });
        return new SourcePicture(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    private string Stamp(string name) =>
        new FileInfo(FullPath(name)) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{file.LastWriteTimeUtc.Ticks}")
            : "gone";

    private string FullPath(string name) => Path.Combine(root, name.Replace('/', Path.DirectorySeparatorChar));
}
