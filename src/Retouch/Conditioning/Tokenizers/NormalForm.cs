using System.Text;
using Retouch.Core.Errors;
using Retouch.Images.Interop;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Unicode's normal forms (Unicode Standard Annex #15), by glib: the program runs without ICU, where .NET's own normalisation leaves every
/// text as it is.
/// </summary>
internal static class NormalForm
{
    private const int Nfc = 1;
    private const int Nfkc = 2;

    // Below, every character is in form C and none is a mark.
    private const char FirstMark = '\u0300';

    /// <summary>Form C: letters and their marks composed. More than 128 marks in a row are put in order 128 at a time.</summary>
    /// <param name="text">Half a surrogate pair becomes U+FFFD.</param>
    /// <exception cref="InputException">It has more than 64 MiB.</exception>
    public static string Compose(string text) =>
        text.AsSpan().IndexOfAnyInRange(FirstMark, char.MaxValue) < 0 ? text : Normalise(text, Nfc);

    /// <summary>Form KC: form C, with variants of a character, such as its half width, replaced by it.</summary>
    /// <param name="text">Half a surrogate pair becomes U+FFFD.</param>
    /// <exception cref="InputException">It has more than 64 MiB.</exception>
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
