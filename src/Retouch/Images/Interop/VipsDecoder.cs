using NetVips;

namespace Retouch.Images.Interop;

/// <summary>Reads headers and pixels of pictures in memory.</summary>
internal static class VipsDecoder
{
    private const string Orientation = "orientation";
    private const string Profile = "icc-profile-data";

    /// <summary>Reads a header.</summary>
    /// <exception cref="PictureRefusedException">The data is not a readable picture, or has too many pixels.</exception>
    public static PictureInfo Probe(ReadOnlySpan<byte> data, PictureReading reading) =>
        VipsErrors.InOwnWords(
            data,
            reading,
            static (d, r) =>
            {
                using var image = Header(d, r, out var info);
                return info;
            }
        );

    /// <summary>Decodes to sRGB after EXIF rotation.</summary>
    /// <inheritdoc cref="Probe"/>
    public static LoadedPicture Decode(ReadOnlySpan<byte> data, PictureReading reading) =>
        VipsErrors.InOwnWords(
            data,
            reading,
            static (d, r) =>
            {
                using var image = Header(d, r, out var info);
                var shrink = Shrink(info, r.MinSide);
                using var smaller = shrink > 1 ? Open(d, Reduction(info.Format, shrink)) : null;
                return new LoadedPicture(Pixels(smaller ?? image, d, r, info), info);
            }
        );

    private static Image Header(ReadOnlySpan<byte> data, PictureReading reading, out PictureInfo info)
    {
        var format =
            FormatOf(Image.FindLoadBuffer(data))
            ?? throw new PictureRefusedException(
                "its content is not JPEG, PNG, WebP, TIFF, GIF, AVIF or HEIC, or this libvips has no loader for it"
            );
        var image = Open(data, []);
        try
        {
            if ((long)image.Width * image.Height > reading.MaxPixels)
                throw new PictureRefusedException(
                    $"its header has a size of {image.Width} x {image.Height} pixels, more than the {reading.MaxPixels} allowed"
                );
            info = Describe(image, format);
            return image;
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private static PictureFormat? FormatOf(string? loader)
    {
        (string Loader, PictureFormat Format)[] known =
        [
            ("Jpeg", PictureFormat.Jpeg),
            ("Png", PictureFormat.Png),
            ("Webp", PictureFormat.WebP),
            ("Tiff", PictureFormat.Tiff),
            ("Nsgif", PictureFormat.Gif),
            ("Heif", PictureFormat.Heif),
        ];
        foreach (var (name, format) in known)
        {
            if (loader?.StartsWith("VipsForeignLoad" + name, StringComparison.Ordinal) == true)
                return format;
        }

        return null;
    }

    // FailOn.Error fails on truncated and undecodable data, but not on harmless defects such as stray bytes between JPEG markers.
    private static Image Open(ReadOnlySpan<byte> data, VOption options)
    {
        try
        {
            return Image.NewFromBuffer(data, "", Enums.Access.Sequential, Enums.FailOn.Error, options);
        }
        catch (VipsException e)
        {
            throw VipsErrors.Refusal("its header is corrupt", e);
        }
    }

    private static VOption Reduction(PictureFormat format, int shrink) =>
        format == PictureFormat.Jpeg ? new VOption { { "shrink", shrink } } : new VOption { { "scale", 1.0 / shrink } };

    /// <summary>Largest factor with which the shorter side keeps at least <paramref name="minSide"/> pixels.</summary>
    private static int Shrink(PictureInfo info, int minSide)
    {
        if (minSide <= 0 || info.Format is not (PictureFormat.Jpeg or PictureFormat.WebP))
            return 1;
        var factor = 8;
        while (factor > 1 && Math.Min(info.Width, info.Height) / factor < minSide)
            factor /= 2;
        return factor;
    }

    private static PictureInfo Describe(Image image, PictureFormat format)
    {
        var orientation = OrientationOf(image);
        // Orientations from 5 on swap the axes.
        var (width, height) = orientation < 5 ? (image.Width, image.Height) : (image.Height, image.Width);
        return new(format, width, height, orientation, image.HasAlpha(), image.Contains(Profile), BitsOf(image.Format));
    }

    private static int OrientationOf(Image image) =>
        image.Contains(Orientation) && image.Get(Orientation) is int and >= 1 and <= 8 and var o ? o : 1;

    private static int BitsOf(Enums.BandFormat format) =>
        format switch
        {
            Enums.BandFormat.Uchar or Enums.BandFormat.Char => 8,
            Enums.BandFormat.Ushort or Enums.BandFormat.Short => 16,
            Enums.BandFormat.Uint or Enums.BandFormat.Int or Enums.BandFormat.Float => 32,
            Enums.BandFormat.Double or Enums.BandFormat.Complex => 64,
            _ => 128,
        };

    /// <summary>Converts, decodes into memory (which detects corrupt data) and applies the EXIF rotation.</summary>
    private static Picture Pixels(Image image, ReadOnlySpan<byte> data, PictureReading reading, PictureInfo info)
    {
        var extra = info.Format == PictureFormat.Tiff ? TiffTags.ExtraSample(data) : null;
        VipsColours.CheckBands(image, extra);
        using var rgb = VipsColours.ToSrgb(image, reading.UseProfile, extra);
        using var upright = info.Orientation > 1 ? Upright(rgb, info.Orientation) : null;
        var shown = upright ?? rgb;
        try
        {
            return new(shown.Width, shown.Height, shown.WriteToMemory<byte>());
        }
        catch (VipsException e)
        {
            throw Refusal(e);
        }
    }

    private static Image Upright(Image rgb, int orientation)
    {
        try
        {
            // Decoders return rows from the top; rotation needs all of them.
            using var memory = rgb.CopyMemory();
            using var tagged = memory.Mutate(copy => copy.Set(GValue.GIntType, Orientation, orientation));
            return tagged.Autorot();
        }
        catch (VipsException e)
        {
            throw Refusal(e);
        }
    }

    private static PictureRefusedException Refusal(VipsException failure) =>
        failure.Message.Contains("compression format has not been built in: HEVC", StringComparison.Ordinal)
            ? new(
                "it is a HEIC with HEVC, for which this libvips has no decoder; convert it to JPEG, PNG or AVIF, or set "
                    + $"{VipsLibrary.FileVariable} to the file of a libvips that has one"
            )
            : VipsErrors.Refusal("its pixels cannot be decoded", failure);
}
