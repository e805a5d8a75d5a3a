using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>Options to bring a picture to a fixed size: resize to cover the size, crop, random horizontal flip.</summary>
public sealed record Framing
{
    /// <summary>Output width in pixels, 1 to 16384.</summary>
    public required int Width { get; init; }

    /// <summary>Output height in pixels, 1 to 16384.</summary>
    public required int Height { get; init; }

    /// <summary>Position of the crop.</summary>
    public CropMode Crop { get; init; } = CropMode.Center;

    /// <summary>Probability of a horizontal flip, 0 to 1.</summary>
    public double FlipProbability { get; init; }

    /// <summary>Resize filter.</summary>
    public ResizeFilter Filter { get; init; } = ResizeFilter.Lanczos;

    /// <summary>Whether to enlarge pictures smaller than the size; otherwise they are refused.</summary>
    public bool AllowEnlarging { get; init; }

    /// <summary>
    /// Whether JPEG and WebP can be downscaled in the decoder, to at least twice the requested size: faster, with differences of about
    /// one level in some pixels. Turn it off for metrics.
    /// </summary>
    public bool ShrinkOnLoad { get; init; } = true;

    /// <summary>The decoder's <see cref="PictureReading.MinSide"/>; 0 for full resolution.</summary>
    public int MinSide => ShrinkOnLoad ? 2 * Math.Max(Width, Height) : 0;

    /// <summary>Validates the options.</summary>
    /// <exception cref="UsageException">An option is out of range.</exception>
    public void Validate()
    {
        if (Width is < 1 or > 16384 || Height is < 1 or > 16384)
            throw new UsageException($"Pictures of {Width} x {Height} were requested; each side must be from 1 to 16384.");
        if (FlipProbability is not (>= 0 and <= 1))
            throw new UsageException($"The flip probability is {FlipProbability}; it must be from 0 to 1.");
    }

    /// <summary>Resizes, crops and flips a picture.</summary>
    /// <param name="source">Input picture, possibly downscaled by the decoder.</param>
    /// <param name="seed">Seed of crop and flip, see <see cref="BatchPlan.SampleSeed"/>.</param>
    /// <param name="name">Picture name for error messages.</param>
    /// <exception cref="InputException">The picture is too small.</exception>
    public FramedPicture Apply(SourcePicture source, ulong seed, string name)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (!AllowEnlarging && (source.FullWidth < Width || source.FullHeight < Height))
        {
            throw new InputException(
                $"The picture '{name}' has {source.FullWidth} x {source.FullHeight} pixels, less than the requested {Width} x {Height}. "
                    + "Remove it, request a smaller size, or allow enlarging (--allow-enlarging; in training, data.allowEnlarging=true)."
            );
        }

        var random = new SplitMix64(seed);
        // All are always drawn, so that the flips of a run do not depend on its crop mode.
        double across = random.NextDouble(),
            down = random.NextDouble(),
            chance = random.NextDouble();

        var picture = Cover(source.Picture);
        int spareX = picture.Width - Width,
            spareY = picture.Height - Height;
        var (left, top) = Crop == CropMode.Center ? (spareX / 2, spareY / 2) : ((int)(across * (spareX + 1)), (int)(down * (spareY + 1)));
        var resized = picture;
        picture = picture.Crop(left, top, Width, Height);
        var flipped = chance < FlipProbability;
        return new FramedPicture(
            flipped ? picture.FlipHorizontal() : picture,
            new FrameRecord(source.FullWidth, source.FullHeight, left, top, flipped)
        )
        {
            Resized = (resized.Width, resized.Height),
        };
    }

    /// <summary>Resizes, crops and flips a mask exactly as its picture.</summary>
    /// <param name="mask">Mask of the picture, of any size with the picture's aspect ratio.</param>
    /// <param name="framed">Result of <see cref="Apply"/>.</param>
    /// <param name="name">Picture name for error messages.</param>
    /// <exception cref="InputException">The mask has another aspect ratio.</exception>
    public Picture ApplyTo(Picture mask, FramedPicture framed, string name)
    {
        ArgumentNullException.ThrowIfNull(mask);
        ArgumentNullException.ThrowIfNull(framed);
        // Resizing of a mask may round its sides.
        const double Tolerance = 0.01;
        var record = framed.Record;
        var (across, down) = ((double)mask.Width * record.OriginalHeight, (double)mask.Height * record.OriginalWidth);
        if (Math.Abs(across - down) > Tolerance * across)
            throw new InputException(
                $"The mask of '{name}' has {mask.Width} x {mask.Height} pixels and the picture {record.OriginalWidth} x "
                    + $"{record.OriginalHeight}: their aspect ratios differ. Give the mask the shape of the picture."
            );
        var part = mask.Resize(framed.Resized.Width, framed.Resized.Height, ResizeFilter.Bilinear)
            .Crop(record.Left, record.Top, Width, Height);
        return record.Flipped ? part.FlipHorizontal() : part;
    }

    private Picture Cover(Picture picture)
    {
        int w = picture.Width,
            h = picture.Height;
        // The side that needs the larger factor determines the scale; the other is truncated to an integer, as in torchvision.
        return (long)Width * h >= (long)Height * w
            ? picture.Resize(Width, Math.Max(Height, (int)((long)h * Width / w)), Filter)
            : picture.Resize(Math.Max(Width, (int)((long)w * Height / h)), Height, Filter);
    }
}

/// <summary>Crop and flip of a picture; SDXL's conditioning.</summary>
/// <param name="OriginalWidth">Width in the file, after orientation.</param>
/// <param name="OriginalHeight">Height in the file, after orientation.</param>
/// <param name="Left">Left column of the crop in the resized picture, before flipping.</param>
/// <param name="Top">Top row of the crop in the resized picture.</param>
/// <param name="Flipped">Whether the picture was flipped horizontally.</param>
public readonly record struct FrameRecord(int OriginalWidth, int OriginalHeight, int Left, int Top, bool Flipped);

/// <summary>A picture of the requested size.</summary>
/// <param name="Picture">Pixels.</param>
/// <param name="Record">Crop and flip.</param>
public sealed record FramedPicture(Picture Picture, FrameRecord Record)
{
    /// <summary>Size of the resized picture before the crop.</summary>
    public (int Width, int Height) Resized { get; init; }
}
