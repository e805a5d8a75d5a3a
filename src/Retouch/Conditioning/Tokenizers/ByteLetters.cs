namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// One printable character for each byte, as byte-level encodings have it since GPT-2: bytes that print in Latin-1 stand for themselves,
/// the others for the characters from U+0100 on.
/// </summary>
internal static class ByteLetters
{
    private static readonly char[] Letters = Make();
    private static readonly Dictionary<char, byte> Bytes = Letters.Select(static (letter, value) => (letter, (byte)value)).ToDictionary();

    /// <summary>All of them in the order of OpenAI's list: those that stand for themselves first.</summary>
    public static IEnumerable<string> InPublishedOrder =>
        Enumerable
            .Range(0, 256)
            .Where(static b => Letters[b] == b)
            .Concat(Enumerable.Range(0, 256).Where(static b => Letters[b] != b))
            .Select(static b => Letters[b].ToString());

    /// <summary>The character of a byte.</summary>
    public static char Of(byte value) => Letters[value];

    /// <summary>The byte of a character.</summary>
    public static bool TryByte(char letter, out byte value) => Bytes.TryGetValue(letter, out value);

    private static char[] Make()
    {
        var letters = new char[256];
        var others = 0;
        for (var value = 0; value < 256; value++)
            letters[value] = value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF)
                ? (char)value
                : (char)(256 + others++);
        return letters;
    }
}
