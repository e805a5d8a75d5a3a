using Retouch.Torch;

namespace Retouch.Images;

/// <summary>Conversion between pictures and tensors.</summary>
public static class PictureTensors
{
    /// <summary>Converts pictures of one size to [B, 3, H, W], float32, v/127.5 − 1 in [−1, 1], on the CPU.</summary>
    /// <exception cref="ArgumentException">There are no pictures, or their sizes differ.</exception>
    public static Tensor ToTensor(IReadOnlyList<Picture> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        if (pictures.Count == 0)
            throw new ArgumentException("At least one picture is needed.", nameof(pictures));
        int width = pictures[0].Width,
            height = pictures[0].Height;
        var planes = new byte[checked(pictures.Count * width * height * Picture.Channels)];
        for (var i = 0; i < pictures.Count; i++)
        {
            if ((pictures[i].Width, pictures[i].Height) != (width, height))
                throw new ArgumentException(
                    $"Picture {i} has {pictures[i].Width} x {pictures[i].Height} pixels, the first {width} x {height}.",
                    nameof(pictures)
                );
            pictures[i].CopyToPlanes(planes.AsSpan(i * width * height * Picture.Channels));
        }

        return FromPlanes(planes, pictures.Count, height, width);
    }

    /// <summary>
    /// Converts [B, 3, H, W] in [−1, 1], of any device and float dtype, to pictures. Values are clamped and rounded; NaN becomes black.
    /// </summary>
    /// <exception cref="ArgumentException">The tensor has the wrong shape.</exception>
    public static IReadOnlyList<Picture> ToPictures(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        if (images.Dim != 4 || images.Shape[1] != Picture.Channels)
            throw new ArgumentException($"Pictures are [B, 3, H, W], not [{string.Join(", ", images.Shape)}].", nameof(images));
        int count = (int)images.Shape[0],
            height = (int)images.Shape[2],
            width = (int)images.Shape[3];
        var values = images.ToArray<float>();
        var planes = new byte[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            // NaN fails the comparison and becomes black; casting it to a byte is undefined.
            var level = (values[i] + 1f) * 127.5f;
            planes[i] = level >= 0 ? (byte)Math.Round(Math.Min(level, 255f), MidpointRounding.ToEven) : (byte)0;
        }

        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => PlanarPixels.ToPicture(planes.AsSpan(i * width * height * Picture.Channels), width, height)),
        ];
    }

    /// <summary>
    /// Converts masks to [B, 1, H, W], float32 in [0, 1], on the CPU: the first channel, 1 for white and for samples without a mask; null
    /// if all values are 1.
    /// </summary>
    /// <param name="masks">Masks of one size, or null.</param>
    /// <param name="width">Their width.</param>
    /// <param name="height">Their height.</param>
    public static Tensor? OfMasks(IReadOnlyList<Picture?> masks, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(masks);
        for (var i = 0; i < masks.Count; i++)
        {
            if (masks[i] is { } mask && (mask.Width, mask.Height) != (width, height))
                throw new ArgumentException($"Mask {i} has {mask.Width} x {mask.Height} pixels, not {width} x {height}.", nameof(masks));
        }

        return OfLevels([.. masks.Select(static m => m is null ? null : LevelsOf(m))], width, height);
    }

    /// <summary>Levels of a mask, 0 to 255, row by row: its first channel.</summary>
    public static byte[] LevelsOf(Picture mask)
    {
        ArgumentNullException.ThrowIfNull(mask);
        var levels = new byte[mask.Width * mask.Height];
        for (var k = 0; k < levels.Length; k++)
            levels[k] = mask.Pixels[Picture.Channels * k];
        return levels;
    }

    /// <summary>See <see cref="OfMasks"/>.</summary>
    /// <param name="masks">Levels of masks of one size (<see cref="LevelsOf"/>), or null.</param>
    /// <param name="width">Their width.</param>
    /// <param name="height">Their height.</param>
    internal static Tensor? OfLevels(IReadOnlyList<byte[]?> masks, int width, int height)
    {
        var plane = width * height;
        var values = new float[checked(masks.Count * plane)];
        Array.Fill(values, 1f);
        for (var i = 0; i < masks.Count; i++)
        {
            for (var k = 0; masks[i] is { } levels && k < plane; k++)
                values[(i * plane) + k] = levels[k] / 255f;
        }

        return Array.TrueForAll(values, static v => v == 1) ? null : Tensor.From(values, masks.Count, 1, height, width);
    }

    /// <summary>Converts planar bytes [B, RGB, H, W] to float32 in [−1, 1] of the same shape, on the CPU.</summary>
    public static Tensor FromPlanes(byte[] planes, int count, int height, int width)
    {
        ArgumentNullException.ThrowIfNull(planes);
        var values = new float[planes.Length];
        PlanarPixels.ToUnitRange(planes, values);
        return Tensor.From(values, count, Picture.Channels, height, width);
    }
}
