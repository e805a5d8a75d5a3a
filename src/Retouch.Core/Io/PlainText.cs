using System.Text;
using Retouch.Core.Errors;

namespace Retouch.Core.Io;

/// <summary>
/// Reads untrusted text: UTF-8, or the encoding of its byte-order mark. Invalid bytes are refused rather than replaced, since training
/// would silently use captions with replacement characters.
/// </summary>
public static class PlainText
{
    // Longer marks first: the UTF-32 mark starts with the UTF-16 mark.
    private static readonly (byte[] Mark, string Name, Encoding Encoding)[] Marked =
    [
        ([0xFF, 0xFE, 0, 0], "UTF-32", new UTF32Encoding(bigEndian: false, byteOrderMark: false, throwOnInvalidCharacters: true)),
        ([0, 0, 0xFE, 0xFF], "UTF-32", new UTF32Encoding(bigEndian: true, byteOrderMark: false, throwOnInvalidCharacters: true)),
        ([0xEF, 0xBB, 0xBF], "UTF-8", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true)),
        ([0xFF, 0xFE], "UTF-16", new UnicodeEncoding(bigEndian: false, byteOrderMark: false, throwOnInvalidBytes: true)),
        ([0xFE, 0xFF], "UTF-16", new UnicodeEncoding(bigEndian: true, byteOrderMark: false, throwOnInvalidBytes: true)),
        ([], "UTF-8", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true)),
    ];

    /// <summary>Contents of a text file.</summary>
    /// <param name="path">File path.</param>
    /// <param name="advice">What to do about an unreadable file, as a sentence.</param>
    /// <exception cref="InputException">The file cannot be read, or is not text.</exception>
    public static string Read(string path, string advice = "Repair or remove the file.")
    {
        try
        {
            return Decode(File.ReadAllBytes(path), $"'{path}'");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read '{path}': {Reasons.Of(e)}. {advice}", e);
        }
    }

    /// <summary>Lines of a text file, separated by LF, CR LF or CR.</summary>
    /// <param name="path">File path.</param>
    /// <exception cref="InputException">The file cannot be read, or is not text.</exception>
    public static IReadOnlyList<string> ReadLines(string path)
    {
        using var reader = new StringReader(Read(path));
        List<string> lines = [];
        while (reader.ReadLine() is { } line)
            lines.Add(line);
        return lines;
    }

    /// <summary>Decodes text and removes the byte-order mark.</summary>
    /// <param name="bytes">Encoded text.</param>
    /// <param name="name">Name for error messages, with quotes.</param>
    /// <exception cref="InputException">The bytes are invalid in their encoding, or contain zero bytes.</exception>
    public static string Decode(ReadOnlySpan<byte> bytes, string name)
    {
        foreach (var (mark, encodingName, encoding) in Marked)
        {
            if (!bytes.StartsWith(mark))
                continue;
            string text;
            try
            {
                text = encoding.GetString(bytes[mark.Length..]);
            }
            catch (DecoderFallbackException e)
            {
                var at = mark.Length + Math.Max(e.Index, 0);
                throw new InputException(
                    $"{name} is not {encodingName} text: byte {at + 1}, in line "
                        + $"{1 + bytes[..Math.Min(at, bytes.Length)].Count((byte)'\n')}, "
                        + "is invalid. Save it as UTF-8.",
                    e
                );
            }

            return text.Contains('\0', StringComparison.Ordinal)
                ? throw new InputException(
                    $"{name} is not {encodingName} text: zero bytes, as UTF-16 without a byte-order mark has. Save it as UTF-8."
                )
                : text;
        }

        throw new InvalidOperationException("The last encoding has no mark.");
    }
}
