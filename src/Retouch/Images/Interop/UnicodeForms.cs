using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Retouch.Images.Interop;

/// <summary>Unicode normalisation (Unicode Standard Annex #15) with GLib, a part of libvips.</summary>
internal static unsafe partial class UnicodeForms
{
    private const int MostMarks = 128;

    /// <summary>GLib's normal forms.</summary>
    public enum Form
    {
        /// <summary>Composed.</summary>
        Nfc = 1,

        /// <summary>Composed, with compatibility characters replaced.</summary>
        Nfkc = 3,
    }

    /// <summary>
    /// Normalises a text. Runs of more than 128 combining marks are ordered in blocks of 128, since ordering takes quadratic time; real
    /// text has no such runs.
    /// </summary>
    /// <param name="text">Text; an unpaired surrogate becomes U+FFFD.</param>
    /// <param name="form">Normal form.</param>
    public static string Normalise(string text, Form form)
    {
        _ = VipsLibrary.Version;
        var normal = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length; )
        {
            // GLib treats a zero as the end.
            if (text[at] == '\0')
            {
                normal.Append(text[at++]);
                continue;
            }

            var end = EndOfPiece(text, at);
            normal.Append(NormaliseWhole(text.AsSpan(at, end - at), form));
            at = end;
        }

        return normal.ToString();
    }

    private static int EndOfPiece(string text, int at)
    {
        for (var marks = 0; at < text.Length && text[at] != '\0'; at += char.IsSurrogatePair(text, at) ? 2 : 1)
        {
            var kind = CharUnicodeInfo.GetUnicodeCategory(text, at);
            var isMark = kind is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;
            marks = isMark ? marks + 1 : 0;
            if (marks > MostMarks)
                break;
        }

        return at;
    }

    private static string NormaliseWhole(ReadOnlySpan<char> text, Form form)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        byte* result;
        fixed (byte* utf8 = bytes)
            result = g_utf8_normalize(utf8, bytes.Length, form);
        try
        {
            return Marshal.PtrToStringUTF8((nint)result)!;
        }
        finally
        {
            g_free(result);
        }
    }

    [LibraryImport(VipsLibrary.Name)]
    private static partial byte* g_utf8_normalize(byte* text, nint length, Form form);

    [LibraryImport(VipsLibrary.Name)]
    private static partial void g_free(void* memory);
}
