using Retouch.Images.Interop;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Unicode normalisation (Unicode Standard Annex #15) by GLib: the program runs without ICU, where .NET's normalisation returns
/// non-ASCII text unchanged.
/// </summary>
internal static class NormalForm
{
    // Characters below are already in NFC and are not combining marks.
    private const char FirstMark = '\u0300';

    /// <summary>NFC. Runs of more than 128 combining marks are ordered in blocks of 128.</summary>
    /// <param name="text">Text; an unpaired surrogate becomes U+FFFD.</param>
    public static string Compose(string text) =>
        text.AsSpan().IndexOfAnyInRange(FirstMark, char.MaxValue) < 0 ? text : UnicodeForms.Normalise(text, UnicodeForms.Form.Nfc);

    /// <summary>NFKC: NFC with compatibility characters, such as half-width forms, replaced.</summary>
    /// <param name="text">Text; an unpaired surrogate becomes U+FFFD.</param>
    public static string Unify(string text) => UnicodeForms.Normalise(text, UnicodeForms.Form.Nfkc);
}
