using NetVips;

namespace Retouch.Images.Interop;

/// <summary>Conversion of decoded pictures to 8-bit sRGB with three bands.</summary>
internal static class VipsColours
{
    private const string Profile = "icc-profile-data";
    private const int UnspecifiedBand = 0;

    /// <summary>Refuses samples that are not integer levels, and bands that are neither colours nor alpha.</summary>
    /// <param name="image">Decoded picture.</param>
    /// <param name="extra">Type of the last band according to a TIFF; null for other formats, or if the file does not state one.</param>
    /// <exception cref="PictureRefusedException">The samples or bands have no meaning as colours.</exception>
    public static void CheckBands(Image image, int? extra)
    {
        var space = VipsLibrary.ColourSpaceOf(image);
        // Lab samples have other ranges.
        if (
            image.Format is not (Enums.BandFormat.Uchar or Enums.BandFormat.Ushort)
            && space is not (Enums.Interpretation.Lab or Enums.Interpretation.Labs)
        )
        {
            var kind = image.Format is Enums.BandFormat.Float or Enums.BandFormat.Double
                ? "floating-point numbers"
                : "signed or 32-bit integers";
            throw new PictureRefusedException(
                $"its samples are {kind}, whose white level is unknown; save it with 8 or 16 bits per sample"
            );
        }

        var colours = ColourBands(space);
        if (image.Bands > colours + 1)
        {
            var names = colours switch
            {
                1 => "gray",
                3 => "red, green, blue",
                _ => "cyan, magenta, yellow, black",
            };
            throw new PictureRefusedException(
                $"it has {image.Bands} bands, which are more than {names} and alpha; save only the bands of the picture"
            );
        }

        if (image.Bands == colours + 1 && extra > 2)
            throw new PictureRefusedException($"its last band has the unknown type {extra}");
    }

    /// <summary>Converts to 8-bit sRGB; alpha is composited over white.</summary>
    /// <inheritdoc cref="CheckBands"/>
    public static Image ToSrgb(Image image, bool useProfile, int? extra)
    {
        var current = image;
        try
        {
            var colours = ColourBands(VipsLibrary.ColourSpaceOf(image));
            // Premultiplied colours have already been divided by alpha in libvips.
            if (extra == UnspecifiedBand && image.Bands > colours)
                Apply("its last band cannot be extracted", i => i.ExtractBand(0, n: colours));
            Apply("its colours cannot be converted to sRGB", i => Convert(i, useProfile));
            if (current.Format != Enums.BandFormat.Uchar)
                Apply("its samples cannot be converted to 8 bits", static i => i.Cast(Enums.BandFormat.Uchar));
            if (current.HasAlpha())
                Apply("its alpha cannot be composited over white", static i => i.Flatten(background: [255]));
            if (current.Bands > Picture.Channels)
                Apply("its bands cannot be extracted", static i => i.ExtractBand(0, n: Picture.Channels));
            return current.Bands == Picture.Channels
                ? current
                : throw new PictureRefusedException($"it has {current.Bands} bands after conversion to sRGB");
        }
        catch
        {
            Release();
            throw;
        }

        void Apply(string failure, Func<Image, Image> step)
        {
            Image next;
            try
            {
                next = step(current);
            }
            catch (VipsException e)
            {
                throw VipsErrors.Refusal(failure, e);
            }

            Release();
            current = next;
        }

        // An image keeps those that it is computed from.
        void Release()
        {
            if (!ReferenceEquals(current, image))
                current.Dispose();
        }
    }

    private static int ColourBands(Enums.Interpretation space) =>
        space switch
        {
            Enums.Interpretation.Bw or Enums.Interpretation.Grey16 => 1,
            Enums.Interpretation.Cmyk => 4,
            _ => 3,
        };

    /// <summary>Converts to 8-bit sRGB, possibly with alpha.</summary>
    private static Image Convert(Image image, bool useProfile)
    {
        var space = VipsLibrary.ColourSpaceOf(image);
        // A profile that names sRGB is not applied: a conversion through Lab would only cause rounding errors of a level.
        if (useProfile && image.Contains(Profile) && image.Get(Profile) is byte[] profile && !IccProfile.IsSrgb(profile))
        {
            try
            {
                return image.IccTransform("srgb", intent: Enums.Intent.Perceptual, blackPointCompensation: true, embedded: true, depth: 8);
            }
            catch (VipsException)
            {
                // A profile that does not match its picture is ignored, as in viewers.
            }
        }

        return space == Enums.Interpretation.Cmyk && image.Format == Enums.BandFormat.Uchar && image.Bands >= 4
            ? FromInk(image)
            : image.Colourspace(Enums.Interpretation.Srgb, sourceSpace: space);
    }

    /// <summary>CMYK without a profile, as converted by Pillow: R = (255 − C)(255 − K) / 255, rounded.</summary>
    private static Image FromInk(Image image)
    {
        var ink = image.WriteToMemory<byte>();
        var (bands, kept) = (image.Bands, image.Bands - 1);
        for (var (from, to) = (0, 0); from < ink.Length; from += bands, to += kept)
        {
            var light = 255 - ink[from + 3];
            for (var c = 0; c < 3; c++)
                ink[to + c] = (byte)(((255 - ink[from + c]) * light + 127) / 255);
            for (var c = 4; c < bands; c++)
                ink[to + c - 1] = ink[from + c];
        }

        var levels = ink.AsSpan(0, ink.Length / bands * kept);
        using var plain = Image.NewFromMemoryCopy<byte>(levels, image.Width, image.Height, kept, Enums.BandFormat.Uchar);
        return plain.Copy(interpretation: Enums.Interpretation.Srgb);
    }
}
