using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Training.Options;

namespace Retouch.Training;

/// <summary>
/// Prior pictures that <see cref="PriorDrawing"/> draws: their number, caption and class are known before they exist.
/// </summary>
/// <param name="folder">Folder of the pictures; null for a plan without a folder.</param>
/// <param name="options">Options with a number of pictures.</param>
/// <param name="side">Side of the pictures in pixels.</param>
internal sealed class PriorPictures(string? folder, PriorOptions options, int side) : IPictureSource
{
    /// <summary>Whether uniform pictures stand in for missing ones, to measure a plan.</summary>
    public bool IsPlan { get; set; }

    /// <inheritdoc/>
    public int Count => options.Count!.Value;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => options.Class is { } name ? [name] : [];

    /// <inheritdoc/>
    public Sample this[int index] => new($"prior/{NameOf(index)}", options.Class is null ? null : 0, options.Prompt);

    /// <summary>File name of a picture.</summary>
    public static string NameOf(int index) => string.Create(CultureInfo.InvariantCulture, $"{index:D5}.png");

    /// <summary>Length of the file: settings and seeds, which determine the pictures, are checked before they are drawn.</summary>
    public string Stamp(int index) =>
        PathOf(index) is { } path && new FileInfo(path) is { Exists: true } file
            ? file.Length.ToString(CultureInfo.InvariantCulture)
            : "gone";

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) => (side, side);

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0)
    {
        var path = PathOf(index);
        if (IsPlan && !File.Exists(path))
            return new(Picture.Filled(side, side, new Rgb(128, 128, 128)), side, side);
        var loaded = PictureFile.LoadWithInfo(path!, PictureReading.Default with { MinSide = minSide });
        return new(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    private string? PathOf(int index) => folder is null ? null : Path.Combine(folder, NameOf(index));
}
