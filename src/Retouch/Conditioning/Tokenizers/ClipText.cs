using System.Globalization;
using System.Net;
using System.Text;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Text cleaning of OpenAI's CLIP before tokenization: HTML entities decoded, typographic variants of letters, quotes and spaces
/// replaced, NFC, white space collapsed, lower case. Of the fixes of ftfy, which the reference applies first, the character fixes are
/// implemented; mojibake (text decoded with a wrong character set) is not repaired. transformers does the same if ftfy is installed;
/// otherwise, and in its fast tokenizer, only NFC, white space and lower case.
/// </summary>
internal static class ClipText
{
    private static readonly Dictionary<char, string> Replacements = new()
    {
        ['\u0132'] = "IJ",
        ['\u0133'] = "ij",
        ['\u0149'] = "\u02BCn",
        ['\u01C4'] = "D\u017D",
        ['\u01C5'] = "D\u017E",
        ['\u01C6'] = "d\u017E",
        ['\u01C7'] = "LJ",
        ['\u01C8'] = "Lj",
        ['\u01C9'] = "lj",
        ['\u01CA'] = "NJ",
        ['\u01CB'] = "Nj",
        ['\u01CC'] = "nj",
        ['\u01F1'] = "DZ",
        ['\u01F2'] = "Dz",
        ['\u01F3'] = "dz",
        ['\uFB00'] = "ff",
        ['\uFB01'] = "fi",
        ['\uFB02'] = "fl",
        ['\uFB03'] = "ffi",
        ['\uFB04'] = "ffl",
        ['\uFB05'] = "\u017Ft",
        ['\uFB06'] = "st",
        ['\u02BC'] = "'",
        ['\u2018'] = "'",
        ['\u2019'] = "'",
        ['\u201A'] = "'",
        ['\u201B'] = "'",
        ['\u201C'] = "\"",
        ['\u201D'] = "\"",
        ['\u201E'] = "\"",
        ['\u201F'] = "\"",
        ['\u3000'] = " ",
    };

    // Half-width and full-width forms: ftfy replaces each by its NFKC form.
    private const char FirstWidthVariant = '\uFF01';
    private const char LastWidthVariant = '\uFFEF';
    private static readonly Lazy<string[]> Widths = new(static () =>
        [
            .. Enumerable
                .Range(FirstWidthVariant, LastWidthVariant - FirstWidthVariant + 1)
                .Select(static c => NormalForm.Unify(((char)c).ToString())),
        ]
    );

    /// <summary>Cleans a text.</summary>
    public static string Clean(string text)
    {
        var decoded = WebUtility.HtmlDecode(WebUtility.HtmlDecode(text));
        var clean = new StringBuilder(decoded.Length);
        var gap = false;
        foreach (var letter in decoded)
        {
            if (char.IsWhiteSpace(letter) || letter == '\u3000')
            {
                gap = true;
                continue;
            }

            if (IsControl(letter))
                continue;
            if (gap && clean.Length > 0)
                clean.Append(' ');
            gap = false;
            if (Replacements.TryGetValue(letter, out var replacement))
                clean.Append(replacement);
            else if (letter is >= FirstWidthVariant and <= LastWidthVariant)
                clean.Append(Widths.Value[letter - FirstWidthVariant]);
            else
                clean.Append(letter);
        }

        return Lower(NormalForm.Compose(clean.ToString()));
    }

    /// <summary>
    /// Splits a cleaned text into words: special tokens, contractions, runs of letters, single digits, runs of other characters.
    /// </summary>
    public static IEnumerable<string> Words(string text)
    {
        for (var at = 0; at < text.Length; )
        {
            if (text[at] == ' ' || char.IsWhiteSpace(text[at]))
            {
                at++;
                continue;
            }

            var length = Marker(text.AsSpan(at));
            if (length == 0)
                length = Contraction(text.AsSpan(at));
            if (length == 0)
                length = Run(text.AsSpan(at));
            yield return text.Substring(at, length);
            at += length;
        }
    }

    /// <summary>
    /// Locale-independent Unicode lower case: İ becomes two characters, Σ depends on its position in the word.
    /// </summary>
    internal static string Lower(string text)
    {
        var lower = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length; )
        {
            Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out var length);
            if (rune.Value == 0x130)
                lower.Append("i\u0307");
            else if (rune.Value == 0x3A3)
                lower.Append(EndsWord(text, at) ? '\u03C2' : '\u03C3');
            else
                lower.Append(Rune.ToLowerInvariant(rune));
            at += length;
        }

        return lower.ToString();
    }

    private static bool IsControl(char letter) =>
        letter
            is <= '\u0008'
                or '\u000B'
                or (>= '\u000E' and <= '\u001F')
                or '\u007F'
                or (>= '\u206A' and <= '\u206F')
                or '\uFEFF'
                or (>= '\uFFF9' and <= '\uFFFC');

    private static int Marker(ReadOnlySpan<char> text) =>
        text.StartsWith("<|startoftext|>") ? "<|startoftext|>".Length
        : text.StartsWith("<|endoftext|>") ? "<|endoftext|>".Length
        : 0;

    private static int Contraction(ReadOnlySpan<char> text)
    {
        if (text.Length < 2 || text[0] != '\'')
            return 0;
        // The long s matches s in the reference's case-insensitive pattern.
        if (text[1] is 's' or '\u017F' or 't')
            return 2;
        if (text.Length > 2 && (text[1..].StartsWith("re") || text[1..].StartsWith("ve")))
            return 3;
        if (text[1] is 'm')
            return 2;
        if (text.Length > 2 && text[1..].StartsWith("ll"))
            return 3;
        return text[1] is 'd' ? 2 : 0;
    }

    private static int Run(ReadOnlySpan<char> text)
    {
        var end = 0;
        var first = Kind.Space;
        while (end < text.Length)
        {
            Rune.DecodeFromUtf16(text[end..], out var rune, out var length);
            var kind = KindOf(rune);
            if (end == 0)
                first = kind;
            else if (kind != first || kind == Kind.Digit)
                break;
            end += length;
        }

        return end;
    }

    private static Kind KindOf(Rune rune)
    {
        if (Rune.IsWhiteSpace(rune))
            return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Digit,
            _ => Kind.Other,
        };
    }

    /// <summary>Unicode's Final_Sigma: preceded but not followed by a cased letter, ignoring case-ignorable characters.</summary>
    private static bool EndsWord(string text, int at)
    {
        var before = at - 1;
        while (before >= 0 && IsIgnorable(text, before))
            before--;
        var after = at + 1;
        while (after < text.Length && IsIgnorable(text, after))
            after++;
        return before >= 0 && IsCased(text, before) && !(after < text.Length && IsCased(text, after));
    }

    private static bool IsCased(string text, int at) =>
        CharUnicodeInfo.GetUnicodeCategory(text, at)
            is UnicodeCategory.UppercaseLetter
                or UnicodeCategory.LowercaseLetter
                or UnicodeCategory.TitlecaseLetter;

    private static bool IsIgnorable(string text, int at) =>
        CharUnicodeInfo.GetUnicodeCategory(text, at)
            is UnicodeCategory.NonSpacingMark
                or UnicodeCategory.EnclosingMark
                or UnicodeCategory.Format
                or UnicodeCategory.ModifierLetter
                or UnicodeCategory.ModifierSymbol
        || text[at] is '\'' or '.' or ':' or '\u00B7' or '\u2019' or '\u2027';

    private enum Kind
    {
        Space,
        Letter,
        Digit,
        Other,
    }
}
