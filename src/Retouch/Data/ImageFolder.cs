using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>
/// The pictures of a folder and its subfolders, in the ordinal order of their relative paths.
/// <list type="bullet">
/// <item>Captions: the <c>text</c> or <c>caption</c> column of a <c>metadata.jsonl</c> beside them (as in Hugging Face's imagefolder), else
/// a <c>.txt</c> file of the same name.</item>
/// <item>Labels: the <c>label</c> column, else the subfolder directly below the root, in ordinal order, if every picture lies in one and
/// there are at least two.</item>
/// </list>
/// Links are followed, every folder once. Names that begin with a dot are passed over.
/// </summary>
public sealed class ImageFolder : IPictureSource
{
    private readonly FolderScan scan;
    private readonly PictureReading reading;
    private readonly int?[] labels;
    private readonly string?[] captions;

    private ImageFolder(FolderScan scan, PictureReading reading)
    {
        this.scan = scan;
        this.reading = reading;
        var metadata = FolderMetadata.Read(scan);
        captions = metadata.Captions;
        (labels, Classes) = FolderLabels.Assign(scan.Pictures, metadata.Labels);
    }

    /// <summary>The folder, as an absolute path.</summary>
    public string Root => scan.Root;

    /// <inheritdoc/>
    public int Count => scan.Pictures.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes { get; }

    /// <inheritdoc/>
    public Sample this[int index] => new(scan.Pictures[index], labels[index], captions[index] ?? Sidecar(scan.Pictures[index]));

    /// <summary>Lists a folder; pictures are read later, one by one.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="reading">How pictures are read; <see cref="PictureReading.MinSide"/> is set by each call of <see cref="Load"/>.</param>
    /// <exception cref="InputException">There is no such folder, it holds no pictures, or its metadata are broken.</exception>
    public static ImageFolder Open(string root, PictureReading? reading = null) =>
        new(FolderScan.Read(root), reading ?? PictureReading.Default);

    /// <summary>The file of sample <paramref name="index"/>.</summary>
    public string FilePath(int index) => scan.FullPath(scan.Pictures[index]);

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

    private string? Sidecar(string picture)
    {
        var path = Path.ChangeExtension(picture, ".txt");
        if (!scan.Texts.Contains(path))
            return null;
        try
        {
            return FolderMetadata.OneLine(File.ReadAllText(scan.FullPath(path)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read the caption '{scan.FullPath(path)}': {e.Message} Mend the file or take it away.", e);
        }
    }
}
