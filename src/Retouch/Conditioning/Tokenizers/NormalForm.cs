using System.Text;
using Retouch.Core.Errors;
using Retouch.Images.Interop;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Unicode normalisation (Unicode Standard Annex #15) by GLib: the program runs without ICU, where .NET's normalisation returns
/// non-ASCII text unchanged.
/// </summary>
internal static class NormalForm
{
    private const int Nfc = 1;
    private const int Nfkc = 2;

    // Characters below are already in NFC and are not combining marks.
    private const char FirstMark = '\u0300';

    /// <summary>NFC. Runs of more than 128 combining marks are ordered in blocks of 128.</summary>
    /// <param name="text">Text; an unpaired surrogate becomes U+FFFD.</param>
    /// <exception cref="InputException">The text has more than 64 MiB.</exception>
    public static string Compose(string text) =>
        text.AsSpan().IndexOfAnyInRange(FirstMark, char.MaxValue) < 0 ? text : Normalise(text, Nfc);

    /// <summary>NFKC: NFC with compatibility characters, such as half-width forms, replaced.</summary>
    /// <param name="text">Text; an unpaired surrogate becomes U+FFFD.</param>
    /// <exception cref="InputException">The text has more than 64 MiB.</exception>
    public static string Unify(string text) => Normalise(text, Nfkc);

    private static string Normalise(string text, int form)
    {
        try
        {
            return NativePictures.Normalise(Encoding.UTF8.GetBytes(text), form);
        }
        catch (PictureRefusedException e)
        {
            throw new InputException($"The prompt '{TokenizerBytes.Short(text)}' cannot be read: {e.Message}.", e);
        }
    }
}
