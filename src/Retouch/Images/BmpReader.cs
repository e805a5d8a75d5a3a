using System.Buffers.Binary;
using Retouch.Images.Interop;

namespace Retouch.Images;

/// <summary>
/// Strict reader of uncompressed Windows bitmaps: 8-bit with a palette, 24-bit, and 32-bit with the fourth byte ignored, since alpha in
/// bitmaps is usually undefined. libvips has only an untrusted loader for bitmaps. Other variants are refused with the reason. Layout:
/// BITMAPFILEHEADER (14 bytes) and BITMAPINFOHEADER or a later version (40 bytes and more), little-endian.
/// </summary>
internal static class BmpReader
{
    private const int FileHeader = 14;
    private const int InfoHeader = 40;
    private const uint Uncompressed = 0;
    private const uint BitFields = 3;

    public static bool Recognises(ReadOnlySpan<byte> data) => data.Length >= 2 && data[0] == (byte)'B' && data[1] == (byte)'M';

    public static PictureInfo Probe(ReadOnlySpan<byte> data, long maxPixels)
    {
        var header = ReadHeader(data, maxPixels);
        return new PictureInfo(PictureFormat.Bmp, header.Width, header.Height, 1, HasAlpha: false, HasProfile: false, BitsPerSample: 8);
    }

    public static LoadedPicture Read(ReadOnlySpan<byte> data, long maxPixels)
    {
        var header = ReadHeader(data, maxPixels);
        var stride = ((long)header.Width * header.Bits + 31) / 32 * 4;
        if (header.Start + stride * header.Height > data.Length)
            throw new PictureRefusedException(
                $"it is truncated: {header.Height} rows of {stride} bytes do not fit into {data.Length} bytes"
            );

        var picture = new Picture(header.Width, header.Height);
        var palette = data.Slice(header.PaletteStart, header.PaletteCount * 4);
        for (var y = 0; y < header.Height; y++)
        {
            var from = data.Slice((int)(header.Start + stride * (header.TopDown ? y : header.Height - 1 - y)), (int)stride);
            ReadRow(from, palette, header.Bits, picture.Row(y));
        }

        return new LoadedPicture(picture, Probe(data, maxPixels));
    }

    private static void ReadRow(ReadOnlySpan<byte> from, ReadOnlySpan<byte> palette, int bits, Span<byte> to)
    {
        var size = bits / 8;
        for (var x = 0; x < to.Length / Picture.Channels; x++)
        {
            var pixel = from.Slice(x * size, size);
            if (bits == 8)
            {
                if (pixel[0] * 4 + 4 > palette.Length)
                    throw new PictureRefusedException($"a pixel has colour {pixel[0]} of a palette of {palette.Length / 4}");
                pixel = palette.Slice(pixel[0] * 4, 3);
            }

            (to[3 * x], to[3 * x + 1], to[3 * x + 2]) = (pixel[2], pixel[1], pixel[0]);
        }
    }

    private static Header ReadHeader(ReadOnlySpan<byte> data, long maxPixels)
    {
        if (data.Length < FileHeader + InfoHeader)
            throw new PictureRefusedException("its BMP header is truncated");
        var start = BinaryPrimitives.ReadUInt32LittleEndian(data[10..]);
        var headerSize = BinaryPrimitives.ReadUInt32LittleEndian(data[14..]);
        var width = BinaryPrimitives.ReadInt32LittleEndian(data[18..]);
        var height = (long)BinaryPrimitives.ReadInt32LittleEndian(data[22..]);
        var planes = BinaryPrimitives.ReadUInt16LittleEndian(data[26..]);
        var bits = BinaryPrimitives.ReadUInt16LittleEndian(data[28..]);
        var compression = BinaryPrimitives.ReadUInt32LittleEndian(data[30..]);
        var colors = BinaryPrimitives.ReadUInt32LittleEndian(data[46..]);

        if (headerSize < InfoHeader || headerSize > 124 || planes != 1)
            throw new PictureRefusedException("its BMP header is corrupt or older than Windows 3");
        if (width < 1 || height == 0)
            throw new PictureRefusedException($"its BMP header has a size of {width} x {Math.Abs(height)} pixels");
        if (width * Math.Abs(height) > maxPixels)
            throw new PictureRefusedException(
                $"its header has a size of {width} x {Math.Abs(height)} pixels, more than the {maxPixels} allowed"
            );
        if (bits is not (8 or 24 or 32))
            throw new PictureRefusedException($"it is a BMP of {bits} bits per pixel; 8, 24 and 32 are supported");
        if (compression != Uncompressed && !(compression == BitFields && bits == 32 && HasByteMasks(data)))
            throw new PictureRefusedException($"it is a BMP with compression {compression}; only uncompressed ones are supported");

        var paletteStart = FileHeader + (int)headerSize;
        var paletteCount =
            bits != 8 ? 0
            : colors == 0 ? 256
            : (int)Math.Min(colors, 256);
        if (start < paletteStart + 4L * paletteCount || start > data.Length)
            throw new PictureRefusedException("its BMP header points outside the file");
        return new Header(width, (int)Math.Abs(height), height < 0, bits, start, paletteStart, paletteCount);
    }

    // 32 bits with masks are supported for the usual byte order B, G, R.
    private static bool HasByteMasks(ReadOnlySpan<byte> data) =>
        data.Length >= 66
        && BinaryPrimitives.ReadUInt32LittleEndian(data[54..]) == 0x00FF0000
        && BinaryPrimitives.ReadUInt32LittleEndian(data[58..]) == 0x0000FF00
        && BinaryPrimitives.ReadUInt32LittleEndian(data[62..]) == 0x000000FF;

    private readonly record struct Header(int Width, int Height, bool TopDown, int Bits, long Start, int PaletteStart, int PaletteCount);
}
