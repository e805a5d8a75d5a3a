using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>What is known of a sample beside its pixels.</summary>
/// <param name="Id">Names it within its source, for messages and files: a path relative to the folder, with '/'.</param>
/// <param name="Label">Index into <see cref="IPictureSource.Classes"/>, or null.</param>
/// <param name="Caption">One line of text, or null.</param>
public sealed record Sample(string Id, int? Label, string? Caption);

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
