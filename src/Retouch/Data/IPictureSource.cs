using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>Metadata of a sample.</summary>
/// <param name="Id">Name within the source, for messages and files: a path relative to the folder, with '/'.</param>
/// <param name="Label">Index into <see cref="IPictureSource.Classes"/>, or null.</param>
/// <param name="Caption">One line of text, or null; the first of several captions.</param>
public sealed record Sample(string Id, int? Label, string? Caption)
{
    private const ulong CaptionPurpose = 0x63617074696F6E;

    /// <summary>All captions if there are several, including <see cref="Caption"/>; else null.</summary>
    public IReadOnlyList<string>? Captions { get; init; }

    /// <summary>All captions of the sample.</summary>
    public IReadOnlyList<string> AllCaptions => Captions ?? (Caption is null ? [] : [Caption]);

    /// <summary>The sample with one of its captions, drawn by a seed.</summary>
    /// <param name="seed">Seed of this use of the sample.</param>
    public Sample WithDrawnCaption(ulong seed)
    {
        if (Captions is not { } captions)
            return this;
        var random = new SplitMix64(SplitMix64.Derive(seed, CaptionPurpose));
        return this with { Caption = captions[random.NextInt(captions.Count)] };
    }

    /// <summary>Creates a sample with any number of captions.</summary>
    internal static Sample Of(string id, int? label, IReadOnlyList<string> captions) =>
        new(id, label, captions.Count > 0 ? captions[0] : null) { Captions = captions.Count > 1 ? captions : null };
}

/// <summary>Pixels of a sample.</summary>
/// <param name="Picture">Pixels, possibly downscaled by the decoder.</param>
/// <param name="FullWidth">Width in the file, after orientation.</param>
/// <param name="FullHeight">Height in the file, after orientation.</param>
public sealed record SourcePicture(Picture Picture, int FullWidth, int FullHeight);

/// <summary>Pictures with labels and captions, addressed by index. Implementations are thread-safe.</summary>
public interface IPictureSource
{
    /// <summary>Number of samples, at least 1.</summary>
    int Count { get; }

    /// <summary>Class names by label; empty without classes.</summary>
    IReadOnlyList<string> Classes { get; }

    /// <summary>
    /// Whether labels were given as numbers: they are then the model's class indices, whatever the names in <see cref="Classes"/>.
    /// </summary>
    bool HasNumberedClasses => false;

    /// <summary>Notes about skipped files and the interpretation of the data, as whole sentences; shown once.</summary>
    IReadOnlyList<string> Notes => [];

    /// <summary>Metadata of sample <paramref name="index"/>, 0 to <see cref="Count"/> − 1.</summary>
    Sample this[int index] { get; }

    /// <summary>
    /// Version stamp of sample <paramref name="index"/>, which changes if its pixels may have changed; part of cache keys.
    /// </summary>
    string Stamp(int index);

    /// <summary>Paths of the picture files of sample <paramref name="index"/>; empty for sources without such files.</summary>
    IReadOnlyList<string> FilesOf(int index) => [];

    /// <summary>Whether sample <paramref name="index"/> has a mask.</summary>
    bool HasMask(int index) => false;

    /// <summary>Version stamp of the mask of a sample, as <see cref="Stamp"/>; empty without a mask.</summary>
    string MaskStamp(int index) => HasMask(index) ? Stamp(index) : "";

    /// <summary>Reads the mask of a sample, a picture of the same shape: white where its loss counts; null without a mask.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    /// <exception cref="InputException">The mask cannot be read.</exception>
    Picture? LoadMask(int index) => null;

    /// <summary>Width and height of a sample's picture in its file, after orientation.</summary>
    /// <exception cref="InputException">The picture cannot be read.</exception>
    (int Width, int Height) SizeOf(int index) => Load(index, 1) is var picture ? (picture.FullWidth, picture.FullHeight) : default;

    /// <summary>Reads the pixels of a sample.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    /// <param name="minSide">See <see cref="PictureReading.MinSide"/>; 0 for full resolution.</param>
    /// <exception cref="InputException">The picture cannot be read.</exception>
    SourcePicture Load(int index, int minSide = 0);
}
