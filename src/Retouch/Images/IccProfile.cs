using System.Buffers.Binary;

namespace Retouch.Images;

/// <summary>ICC profiles (ICC.1:2010).</summary>
internal static class IccProfile
{
    private const int Tags = 128;
    private const int TagLength = 12;

    /// <summary>
    /// Whether the description of a profile names sRGB. The header has 128 bytes with the colour space at 16, then a tag count and 12 bytes
    /// per tag (signature, offset, size).
    /// </summary>
    public static bool IsSrgb(ReadOnlySpan<byte> profile)
    {
        if (profile.Length < Tags + 4 || !profile[16..20].SequenceEqual("RGB "u8))
            return false;
        var count = BinaryPrimitives.ReadUInt32BigEndian(profile[Tags..]);
        for (long tag = 0, at = Tags + 4; tag < count && at + TagLength <= profile.Length; tag++, at += TagLength)
        {
            var entry = profile.Slice((int)at, TagLength);
            if (!entry.StartsWith("desc"u8))
                continue;
            var (offset, size) = (BinaryPrimitives.ReadUInt32BigEndian(entry[4..]), BinaryPrimitives.ReadUInt32BigEndian(entry[8..]));
            if ((long)offset + size > profile.Length)
                return false;
            // Version 2 stores the description in ASCII, version 4 in UTF-16.
            var description = profile.Slice((int)offset, (int)size);
            if (description.IndexOf("sRGB"u8) >= 0 || description.IndexOf("\0s\0R\0G\0B"u8) >= 0)
                return true;
        }

        return false;
    }
}
