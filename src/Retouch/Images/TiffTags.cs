using System.Buffers.Binary;

namespace Retouch.Images;

/// <summary>
/// Meaning of a TIFF band after the colours, which libvips does not report (TIFF 6.0, section 18; BigTIFF has wider fields).
/// </summary>
internal static class TiffTags
{
    private const ulong ExtraSamples = 338;
    private const ulong Short = 3;
    private const ulong MostEntries = 4096;

    /// <summary>
    /// Type of the first band after the colours: 0 unspecified, 1 premultiplied alpha, 2 alpha; null if the file does not state it.
    /// </summary>
    public static int? ExtraSample(ReadOnlySpan<byte> file)
    {
        if (file.Length < 8 || file[0] is not ((byte)'I' or (byte)'M') || file[1] != file[0])
            return null;
        var little = file[0] == 'I';
        if (Number(file, 2, 2, little) is not { } version || version is not (42 or 43))
            return null;
        var big = version == 43;
        var width = big ? 8 : 4;
        if (
            Number(file, big ? 8ul : 4, width, little) is not { } directory
            || Number(file, directory, big ? 8 : 2, little) is not { } entries
        )
            return null;
        var at = directory + (big ? 8ul : 2);
        for (ulong entry = 0; entry < entries && entry < MostEntries; entry++, at += big ? 20ul : 12)
        {
            if (
                Number(file, at, 2, little) is not { } tag
                || Number(file, at + 2, 2, little) is not { } type
                || Number(file, at + 4, width, little) is not { } values
            )
                return null;
            if (tag != ExtraSamples)
                continue;
            if (type != Short || values == 0)
                return null;
            // Values that do not fit into the entry are stored at an offset.
            var place = at + 4 + (ulong)width;
            if (values > (ulong)width / 2)
            {
                if (Number(file, place, width, little) is not { } offset)
                    return null;
                place = offset;
            }

            return (int?)Number(file, place, 2, little);
        }

        return null;
    }

    /// <summary>A number of <paramref name="size"/> bytes; null past the end of the file.</summary>
    private static ulong? Number(ReadOnlySpan<byte> file, ulong at, int size, bool little)
    {
        if (at > (ulong)file.Length || (ulong)size > (ulong)file.Length - at)
            return null;
        var bytes = file.Slice((int)at, size);
        return size switch
        {
            2 => little ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : BinaryPrimitives.ReadUInt16BigEndian(bytes),
            4 => little ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : BinaryPrimitives.ReadUInt32BigEndian(bytes),
            _ => little ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : BinaryPrimitives.ReadUInt64BigEndian(bytes),
        };
    }
}
