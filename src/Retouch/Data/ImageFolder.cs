using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>
/// Pictures of a folder and its subfolders, in ordinal order of their relative paths.
/// <list type="bullet">
/// <item>Captions: the <c>text</c> or <c>caption</c> column of a <c>metadata.jsonl</c> beside them (as in Hugging Face's imagefolder),
/// else a <c>.txt</c> or <c>.caption</c> file of the same name. Several lines, or a list, give a picture several captions.</item>
/// <item>Labels: the <c>label</c> column, else the parent folder, in natural order, if all pictures are at the same depth and in at
/// least two folders. Folders such as <c>train</c> and <c>test</c> are splits, not classes.</item>
/// </list>
/// Links are followed, each folder once. Names that start with a dot and system folders are ignored; masks and thumbnails beside their
/// picture, and pictures of unsupported formats, are skipped and counted (<see cref="Notes"/>).
/// </summary>
public sealed class ImageFolder : IPictureSource
{
    private readonly FolderScan _scan;
    private readonly FolderMetadata _metadata;
    private readonly PictureReading _reading;
    private readonly FolderLabels _labels;
    private readonly int[] _kept;
    private readonly int?[] _masks;
    private readonly Lazy<IReadOnlyList<string>> _notes;

    private ImageFolder(FolderScan scan, PictureReading reading, DataSplit? wanted, bool isPreference, bool readsMasks)
    {
        _scan = scan;
        _reading = reading;
        _metadata = FolderMetadata.Read(scan, readsMasks);
        var companions = Companions.Find(scan.Pictures, _metadata.IsListed);
        companions = readsMasks ? companions.WithMasks(scan.Pictures) : companions;
        var listed = _metadata.Masks.OfType<int>().ToHashSet();
        int[] pictures = [.. Enumerable.Range(0, scan.Pictures.Count).Where(k => !companions.Contains(k) && !listed.Contains(k))];
        var splits = FolderSplits.Find([.. pictures.Select(k => scan.Pictures[k])]);
        _labels = FolderLabels.Assign(splits.Paths, [.. pictures.Select(k => _metadata.Labels[k])]);
        var chosen = splits.Choose(wanted, isPreference, scan.Root);
        _kept = [.. chosen.Select(k => pictures[k])];
        _masks = [.. _kept.Select(k => _metadata.Masks[k] ?? companions.MaskOf(scan.Pictures[k]))];
        _labels = _labels with { Labels = [.. chosen.Select(k => _labels.Labels[k])] };
        _notes = new(() => [.. FolderNotes.Of(scan, companions, splits, chosen, Enumerable.Range(0, Count).Select(CaptionsOf))]);
    }

    /// <summary>Absolute path of the folder.</summary>
    public string Root => _scan.Root;

    /// <inheritdoc/>
    public int Count => _kept.Length;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _labels.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _labels.AreNumbers;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => _notes.Value;

    /// <inheritdoc/>
    public Sample this[int index] => Sample.Of(_scan.Pictures[_kept[index]], _labels.Labels[index], CaptionsOf(index));

    /// <summary>Lists a folder with all its splits; pictures are read on demand.</summary>
    /// <param name="root">Folder path.</param>
    /// <param name="reading">Decoder options; <see cref="PictureReading.MinSide"/> is set by each <see cref="Load"/> call.</param>
    /// <exception cref="InputException">The folder does not exist or has no pictures, or its metadata is malformed.</exception>
    public static ImageFolder Open(string root, PictureReading? reading = null) =>
        new(FolderScan.Read(root), reading ?? PictureReading.Default, wanted: null, isPreference: false, readsMasks: false);

    /// <summary>Lists one split of a folder.</summary>
    /// <param name="root">Folder path.</param>
    /// <param name="split">Split; null for <paramref name="preferred"/> if it exists, else all pictures.</param>
    /// <param name="reading">See <see cref="Open"/>.</param>
    /// <param name="preferred">Split to prefer.</param>
    /// <param name="readsMasks">Whether masks beside pictures (<c>NAME_mask.png</c>, <c>NAME-masklabel.png</c>) and those of the column
    /// <c>mask</c> are masks of the loss; otherwise the former are skipped, and the latter are pictures.</param>
    /// <exception cref="InputException">See <see cref="Open"/>; or the split does not exist.</exception>
    public static ImageFolder OpenSplit(
        string root,
        DataSplit? split,
        PictureReading? reading = null,
        DataSplit preferred = DataSplit.Train,
        bool readsMasks = false
    ) => new(FolderScan.Read(root), reading ?? PictureReading.Default, split ?? preferred, isPreference: split is null, readsMasks);

    /// <summary>File path of sample <paramref name="index"/>.</summary>
    public string FilePath(int index) => _scan.FullPath(_scan.Pictures[_kept[index]]);

    /// <inheritdoc/>
    public IReadOnlyList<string> FilesOf(int index) => [FilePath(index)];

    /// <summary>Label of sample <paramref name="index"/> in the metadata: an int, a string, or null.</summary>
    internal object? GivenLabel(int index) => _metadata.Labels[_kept[index]];

    /// <summary>Length and modification time of the file.</summary>
    public string Stamp(int index) => StampOf(FilePath(index));

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) =>
        PictureFile.Probe(FilePath(index), _reading) is var info ? (info.Width, info.Height) : default;

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0)
    {
        var loaded = PictureFile.LoadWithInfo(FilePath(index), _reading with { MinSide = minSide });
        return new SourcePicture(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    /// <inheritdoc/>
    public bool HasMask(int index) => _masks[index] is not null;

    /// <inheritdoc/>
    public string MaskStamp(int index) => _masks[index] is { } k ? StampOf(_scan.FullPath(_scan.Pictures[k])) : "";

    /// <inheritdoc/>
    public Picture? LoadMask(int index) => _masks[index] is { } k ? PictureFile.Load(_scan.FullPath(_scan.Pictures[k]), _reading) : null;

    private static string StampOf(string path) =>
        new FileInfo(path) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{file.LastWriteTimeUtc.Ticks}")
            : "gone";

    private IReadOnlyList<string> CaptionsOf(int index) =>
        _metadata.Captions[_kept[index]] ?? (_scan.CaptionBeside(_scan.Pictures[_kept[index]]) is { } beside ? [beside] : []);
}
