using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>
/// The pictures of a folder and its subfolders, in the ordinal order of their relative paths.
/// <list type="bullet">
/// <item>Captions: the <c>text</c> or <c>caption</c> column of a <c>metadata.jsonl</c> beside them (as in Hugging Face's imagefolder), else
/// a
/// <c>.txt</c> or <c>.caption</c> file of the same name. Several lines, or a list, give a picture several captions.</item>
/// <item>Labels: the <c>label</c> column, else the folder that a picture lies in, in natural order, if all lie at one depth and in at least
/// two folders. Folders such as <c>train</c> and <c>test</c> are splits and no classes.</item>
/// </list>
/// Links are followed, every folder once. Names that begin with a dot and folders of the system are passed over; masks and thumbnails that
/// lie beside their picture, and pictures of formats that are not read, are left out and counted (<see cref="Notes"/>).
/// </summary>
public sealed class ImageFolder : IPictureSource
{
    private readonly FolderScan scan;
    private readonly FolderMetadata metadata;
    private readonly PictureReading reading;
    private readonly FolderLabels labels;
    private readonly int[] kept;
    private readonly Lazy<IReadOnlyList<string>> notes;

    private ImageFolder(FolderScan scan, PictureReading reading, DataSplit? wanted, bool isPreference)
    {
        this.scan = scan;
        this.reading = reading;
        metadata = FolderMetadata.Read(scan);
        var companions = Companions.Find(scan.Pictures, metadata.IsListed);
        int[] pictures = [.. Enumerable.Range(0, scan.Pictures.Count).Where(k => !companions.Contains(k))];
        var splits = FolderSplits.Find([.. pictures.Select(k => scan.Pictures[k])]);
        labels = FolderLabels.Assign(splits.Paths, [.. pictures.Select(k => metadata.Labels[k])]);
        var chosen = splits.Choose(wanted, isPreference, scan.Root);
        kept = [.. chosen.Select(k => pictures[k])];
        labels = labels with { Labels = [.. chosen.Select(k => labels.Labels[k])] };
        notes = new(() => [.. FolderNotes.Of(scan, companions, splits, chosen, Enumerable.Range(0, Count).Select(CaptionsOf))]);
    }

    /// <summary>The folder, as an absolute path.</summary>
    public string Root => scan.Root;

    /// <inheritdoc/>
    public int Count => kept.Length;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => labels.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => labels.AreNumbers;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => notes.Value;

    /// <inheritdoc/>
    public Sample this[int index] => Sample.Of(scan.Pictures[kept[index]], labels.Labels[index], CaptionsOf(index));

    /// <summary>Lists a folder, all splits of it; pictures are read later, one by one.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="reading">How pictures are read; <see cref="PictureReading.MinSide"/> is set by each call of <see cref="Load"/>.</param>
    /// <exception cref="InputException">There is no such folder, it holds no pictures, or its metadata are broken.</exception>
    public static ImageFolder Open(string root, PictureReading? reading = null) =>
        new(FolderScan.Read(root), reading ?? PictureReading.Default, wanted: null, isPreference: false);

    /// <summary>Lists one split of a folder.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="split">The split; null takes <see cref="DataSplit.Train"/> where the folder has it, else everything.</param>
    /// <param name="reading">As for <see cref="Open"/>.</param>
    /// <exception cref="InputException">As for <see cref="Open"/>; or the folder does not have the split.</exception>
    public static ImageFolder OpenSplit(string root, DataSplit? split, PictureReading? reading = null) =>
        new(FolderScan.Read(root), reading ?? PictureReading.Default, split ?? DataSplit.Train, isPreference: split is null);

    /// <summary>The file of sample <paramref name="index"/>.</summary>
    public string FilePath(int index) => scan.FullPath(scan.Pictures[kept[index]]);

    /// <summary>The label that metadata give sample <paramref name="index"/>: an int, a text, or null.</summary>
    internal object? GivenLabel(int index) => metadata.Labels[kept[index]];

    /// <summary>Length and time of the file.</summary>
    public string Stamp(int index) =>
        new FileInfo(FilePath(index)) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{file.LastWriteTimeUtc.Ticks}")
            : "gone";

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) =>
        PictureFile.Probe(FilePath(index), reading) is var info ? (info.Width, info.Height) : default;

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0)
    {
        var loaded = PictureFile.LoadWithInfo(FilePath(index), reading with { MinSide = minSide });
        return new SourcePicture(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    private IReadOnlyList<string> CaptionsOf(int index) =>
        metadata.Captions[kept[index]] ?? (scan.CaptionBeside(scan.Pictures[kept[index]]) is { } beside ? [beside] : []);
}
