using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>How a picture becomes one of a fixed size: resized until it covers the size, cropped, perhaps mirrored.</summary>
public sealed record Framing
{
    /// <summary>Pixels in a row afterwards.</summary>
    public required int Width { get; init; }

    /// <summary>Rows afterwards.</summary>
    public required int Height { get; init; }

    /// <summary>Where the crop is taken.</summary>
    public CropMode Crop { get; init; } = CropMode.Center;

    /// <summary>The chance that a picture is mirrored left to right, 0 to 1.</summary>
    public double FlipProbability { get; init; }

    /// <summary>The filter of the resize.</summary>
    public ResizeFilter Filter { get; init; } = ResizeFilter.Lanczos;

    /// <summary>Whether pictures that do not cover the size are enlarged; otherwise they are refused.</summary>
    public bool AllowEnlarging { get; init; }

    /// <summary>
    /// Whether JPEG and WebP may be shrunk while they are decoded, down to twice the size wanted: faster, and a level off here and there.
    /// Turn it off for metrics.
    /// </summary>
    public bool ShrinkOnLoad { get; init; } = true;

    /// <summary>What to ask of the decoder; 0 for every pixel.</summary>
    public int MinSide => ShrinkOnLoad ? 2 * Math.Max(Width, Height) : 0;

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">One is out of range.</exception>
    public void Validate()
    {
        if (Width is < 1 or > 16384 || Height is < 1 or > 16384)
            throw new UsageException($"Pictures of {Width} x {Height} are asked for; each side lies between 1 and 16384.");
        if (FlipProbability is not (>= 0 and <= 1))
            throw new UsageException($"The flip probability is {FlipProbability}; it lies between 0 and 1.");
    }

    /// <summary>Frames a picture.</summary>
    /// <param name="source">The picture, perhaps shrunk.</param>
    /// <param name="seed">Decides crop and flip, see <see cref="BatchPlan.SampleSeed"/>.</param>
    /// <param name="name">What messages call the picture.</param>
    /// <exception cref="InputException">The picture is too small.</exception>
    public FramedPicture Apply(SourcePicture source, ulong seed, string name)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (!AllowEnlarging && (source.FullWidth < Width || source.FullHeight < Height))
        {
            throw new InputException(
                $"The picture '{name}' has {source.FullWidth} x {source.FullHeight} pixels, less than the {Width} x {Height} asked for. "
                    + "Take it out, ask for less, or allow enlarging."
            );
        }

        var random = new SplitMix64(seed);
        // Both are always drawn, so that the flips of a run do not depend on how it crops.
        double across = random.NextDouble(),
            down = random.NextDouble(),
            chance = random.NextDouble();

        var picture = Cover(source.Picture);
        int spareX = picture.Width - Width,
            spareY = picture.Height - Height;
        var (left, top) = Crop == CropMode.Center ? (spareX / 2, spareY / 2) : ((int)(across * (spareX + 1)), (int)(down * (spareY + 1)));
        picture = picture.Crop(left, top, Width, Height);
        var flipped = chance < FlipProbability;
        return new FramedPicture(
            flipped ? picture.FlipHorizontal() : picture,
            new FrameRecord(source.FullWidth, source.FullHeight, left, top, flipped)
        );
    }

    private Picture Cover(Picture picture)
    {
        int w = picture.Width,
            h = picture.Height;
        // The side that needs the larger factor decides; the other is cut to an integer, as torchvision does.
        return (long)Width * h >= (long)Height * w
            ? picture.Resize(Width, Math.Max(Height, (int)((long)h * Width / w)), Filter)
            : picture.Resize(Math.Max(Width, (int)((long)w * Height / h)), Height, Filter);
    }
}

/// <summary>What was done to a picture; SDXL conditions on it.</summary>
/// <param name="OriginalWidth">Width in the file, upright.</param>
/// <param name="OriginalHeight">Height in the file, upright.</param>
/// <param name="Left">Column of the resized picture at which the crop begins, before mirroring.</param>
/// <param name="Top">Row of the resized picture at which the crop begins.</param>
/// <param name="Flipped">Whether it was mirrored.</param>
public readonly record struct FrameRecord(int OriginalWidth, int OriginalHeight, int Left, int Top, bool Flipped);

/// <summary>A picture of the size asked for.</summary>
/// <param name="Picture">Its pixels.</param>
/// <param name="Record">What was done.</param>
public sealed record FramedPicture(Picture Picture, FrameRecord Record);
