using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>What is known of a sample beside its pixels.</summary>
/// <param name="Id">Names it within its source, for messages and files: a path relative to the folder, with '/'.</param>
/// <param name="Label">Index into <see cref="IPictureSource.Classes"/>, or null.</param>
/// <param name="Caption">One line of text, or null; one of several where there are several.</param>
public sealed record Sample(string Id, int? Label, string? Caption)
{
    private const ulong CaptionPurpose = 0x63617074696F6E;

    /// <summary>All captions where there are several, <see cref="Caption"/> among them; null where there is one or none.</summary>
    public IReadOnlyList<string>? Captions { get; init; }

    /// <summary>Every caption that it may be used with.</summary>
    public IReadOnlyList<string> AllCaptions => Captions ?? (Caption is null ? [] : [Caption]);

    /// <summary>The same sample with one of its captions, drawn by a seed.</summary>
    /// <param name="seed">Of this use of the sample.</param>
    public Sample WithDrawnCaption(ulong seed)
    {
        if (Captions is not { } captions)
            return this;
        var random = new SplitMix64(SplitMix64.Derive(seed, CaptionPurpose));
        return this with { Caption = captions[random.NextInt(captions.Count)] };
    }

    /// <summary>A sample with any number of captions.</summary>
    internal static Sample Of(string id, int? label, IReadOnlyList<string> captions) =>
        new(id, label, captions.Count > 0 ? captions[0] : null) { Captions = captions.Count > 1 ? captions : null };
}

/// <summary>A sample's pixels.</summary>
/// <param name="Picture">The pixels, perhaps shrunk while they were decoded.</param>
/// <param name="FullWidth">Width of the picture in its file, upright.</param>
/// <param name="FullHeight">Height of the picture in its file, upright.</param>
public sealed record SourcePicture(Picture Picture, int FullWidth, int FullHeight);

/// <summary>Pictures with labels and captions, addressed by index. Safe to use from several threads at once.</summary>
public interface IPictureSource
{
    /// <summary>The number of samples, at least 1.</summary>
    int Count { get; }

    /// <summary>Names of the classes by label; empty where there are none.</summary>
    IReadOnlyList<string> Classes { get; }

    /// <summary>
    /// Whether labels were given as numbers: these are then a model's classes themselves, whatever <see cref="Classes"/> calls them.
    /// </summary>
    bool HasNumberedClasses => false;

    /// <summary>What was left out and what is to be known of the data, in whole sentences; shown once.</summary>
    IReadOnlyList<string> Notes => [];

    /// <summary>What is known of sample <paramref name="index"/>, 0 to <see cref="Count"/> - 1.</summary>
    Sample this[int index] { get; }

    /// <summary>
    /// A short text that changes where the pixels of sample <paramref name="index"/> may have changed; what was made of them is kept under
    /// it.
    /// </summary>
    string Stamp(int index);

    /// <summary>Width and height of a sample's picture in its file, upright.</summary>
    /// <exception cref="InputException">The picture cannot be read; the message says why.</exception>
    (int Width, int Height) SizeOf(int index) => Load(index, 1) is var picture ? (picture.FullWidth, picture.FullHeight) : default;

    /// <summary>Reads the pixels of a sample.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    /// <param name="minSide">As <see cref="PictureReading.MinSide"/>; 0 reads every pixel.</param>
    /// <exception cref="InputException">The picture cannot be read; the message says why.</exception>
    SourcePicture Load(int index, int minSide = 0);
}
