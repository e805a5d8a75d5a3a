using System.Runtime.CompilerServices;
using NetVips;

namespace Retouch.Images.Interop;

/// <summary>Encodes pictures in memory.</summary>
internal static class VipsEncoder
{
    private const int PngCompression = 6;
    private const int Lossless = 100;

    /// <summary>Encodes as JPEG, PNG or WebP, without metadata.</summary>
    public static byte[] Encode(Picture picture, PictureFormat format, int quality)
    {
        _ = VipsLibrary.Version;
        return Save(picture, format, quality);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte[] Save(Picture picture, PictureFormat format, int quality)
    {
        using var plain = Image.NewFromMemoryCopy<byte>(
            picture.Pixels,
            picture.Width,
            picture.Height,
            Picture.Channels,
            Enums.BandFormat.Uchar
        );
        using var image = plain.Copy(interpretation: Enums.Interpretation.Srgb);
        return format switch
        {
            PictureFormat.Jpeg => image.JpegsaveBuffer(q: quality, optimizeCoding: true, keep: Enums.ForeignKeep.None),
            PictureFormat.Png => image.PngsaveBuffer(compression: PngCompression, keep: Enums.ForeignKeep.None),
            _ => image.WebpsaveBuffer(q: quality, lossless: quality == Lossless, keep: Enums.ForeignKeep.None),
        };
    }
}
