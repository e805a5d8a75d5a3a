using System.Buffers.Binary;

namespace Retouch.Images;

/// <summary>Header chunk of a PNG file (PNG specification, section 11.2.2).</summary>
/// <param name="Width">Width in pixels.</param>
/// <param name="Height">Height in pixels.</param>
/// <param name="Channels">1 for grey, 2 for grey with alpha, 3 for RGB and palettes, 4 for RGBA.</param>
public readonly record struct PngHeader(int Width, int Height, int Channels)
{
    private static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];

    /// <summary>Reads the header of an encoded picture.</summary>
    /// <exception cref="ArgumentException">The bytes do not start with a valid PNG header.</exception>
    public static PngHeader Read(ReadOnlySpan<byte> png)
    {
        if (png.Length < 26 || !png.StartsWith(Signature))
            throw new ArgumentException("These bytes are not a PNG picture.", nameof(png));
        var width = BinaryPrimitives.ReadInt32BigEndian(png[16..]);
        var height = BinaryPrimitives.ReadInt32BigEndian(png[20..]);
        var channels = png[25] switch
        {
            0 => 1,
            2 or 3 => 3,
            4 => 2,
            6 => 4,
            _ => 0,
        };
        return width > 0 && height > 0 && channels > 0
            ? new(width, height, channels)
            : throw new ArgumentException("The PNG picture's header is invalid.", nameof(png));
    }
}
