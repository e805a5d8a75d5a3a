using System.Buffers.Binary;

namespace Retouch.Images;

/// <summary>The outermost boxes of AVIF and HEIC files (ISO/IEC 23008-12).</summary>
internal static class HeifBoxes
{
    private const int MostBoxes = 64;

    /// <summary>Whether a file is a container in which no picture is described: it ends behind its brand, as placeholders of cloud
    /// folders and broken downloads do. Files that cannot be opened, or are something else, are not: reading them tells more.</summary>
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
                // 0 stands for a box that goes on to the end; less than a header is none.
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
