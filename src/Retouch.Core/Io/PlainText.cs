using System.Text;
using Retouch.Core.Errors;

namespace Retouch.Core.Io;

/// <summary>
/// Texts that somebody else wrote: UTF-8, or the encoding that a byte-order mark at their start names. Bytes that are no such text are
/// refused rather than replaced: a caption with replacement characters would be trained on in silence.
/// </summary>
public static class PlainText
{
    // The longer marks first: UTF-32's begins with that of UTF-16.
    private static readonly (byte[] Mark, string Name, Encoding Encoding)[] Marked =
    [
        ([0xFF, 0xFE, 0, 0], "UTF-32", new UTF32Encoding(bigEndian: false, byteOrderMark: false, throwOnInvalidCharacters: true)),
        ([0, 0, 0xFE, 0xFF], "UTF-32", new UTF32Encoding(bigEndian: true, byteOrderMark: false, throwOnInvalidCharacters: true)),
        ([0xEF, 0xBB, 0xBF], "UTF-8", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true)),
        ([0xFF, 0xFE], "UTF-16", new UnicodeEncoding(bigEndian: false, byteOrderMark: false, throwOnInvalidBytes: true)),
        ([0xFE, 0xFF], "UTF-16", new UnicodeEncoding(bigEndian: true, byteOrderMark: false, throwOnInvalidBytes: true)),
        ([], "UTF-8", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true)),
    ];

    /// <summary>The content of a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InputException">It cannot be read, or is no text.</exception>
    public static string Read(string path)
    {
        try
        {
            return Decode(File.ReadAllBytes(path), $"'{path}'");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read '{path}': {Reasons.Of(e)}. Mend the file or take it away.", e);
        }
    }

    /// <summary>The lines of a file, whatever ends them: LF, CR LF or CR.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InputException">It cannot be read, or is no text.</exception>
    public static IReadOnlyList<string> ReadLines(string path)
    {
        using var reader = new StringReader(Read(path));
        List<string> lines = [];
        while (reader.ReadLine() is { } line)
            lines.Add(line);
        return lines;
    }

    /// <summary>Bytes as text, without a mark.</summary>
    /// <param name="bytes">The content.</param>
    /// <param name="name">What messages call it, with quotes.</param>
    /// <exception cref="InputException">They are no text in their encoding, or hold zero bytes.</exception>
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
                    $"{name} is no {encodingName} text: byte {at + 1}, in line "
                        + $"{1 + bytes[..Math.Min(at, bytes.Length)].Count((byte)'\n')}, "
                        + "belongs to another encoding. Save it as UTF-8.",
                    e
                );
            }

            return text.Contains('\0', StringComparison.Ordinal)
                ? throw new InputException(
                    $"{name} is no {encodingName} text: it holds zero bytes, as UTF-16 without a byte-order mark does. Save it as UTF-8."
                )
                : text;
        }

        throw new InvalidOperationException("The last encoding has no mark.");
    }
}
