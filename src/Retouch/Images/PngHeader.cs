using System.Buffers.Binary;

namespace Retouch.Images;

/// <summary>What the first chunk of a PNG file says (PNG specification, section 11.2.2).</summary>
/// <param name="Width">In pixels.</param>
/// <param name="Height">In pixels.</param>
/// <param name="Channels">1 grey, 2 grey and alpha, 3 RGB (palettes too), 4 RGBA.</param>
public readonly record struct PngHeader(int Width, int Height, int Channels)
{
    private static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];

    /// <summary>Reads the header of an encoded picture.</summary>
    /// <exception cref="ArgumentException">The bytes do not start as a PNG file.</exception>
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
