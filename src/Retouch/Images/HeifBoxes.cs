using System.Buffers.Binary;

namespace Retouch.Images;

/// <summary>Top-level boxes of AVIF and HEIC files (ISO/IEC 23008-12).</summary>
internal static class HeifBoxes
{
    private const int MostBoxes = 64;

    /// <summary>
    /// Whether a file is a container without a picture: it ends after its file type box, like placeholders of cloud folders and
    /// incomplete downloads. False for unreadable files and other formats, whose decoder gives a more specific error.
    /// </summary>
    public static bool AreEmpty(string path)
    {
        if (!HasEnding(path))
            return false;
        try
        {
            using var file = File.OpenRead(path);
            Span<byte> header = stackalloc byte[16];
            for (var (at, k) = (0L, 0); at + 8 <= file.Length && k < MostBoxes; k++)
            {
                file.Position = at;
                var read = file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false);
                if (k == 0 && !header[4..8].SequenceEqual("ftyp"u8))
                    return false;
                if (header[4..8].SequenceEqual("meta"u8) || header[4..8].SequenceEqual("moov"u8))
                    return false;
                long size = BinaryPrimitives.ReadUInt32BigEndian(header);
                if (size == 1 && read == header.Length)
                    size = BinaryPrimitives.ReadInt64BigEndian(header[8..]);
                // Size 0 is a box that extends to the end of the file; 1 to 7 are invalid.
                if (size < 8)
                    return true;
                at += size;
            }

            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static bool HasEnding(string path) =>
        Array.Exists([".avif", ".heic", ".heif"], e => path.EndsWith(e, StringComparison.OrdinalIgnoreCase));
}
