namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// One printable character per byte, as in GPT-2's byte-level encoding: bytes that are printable in Latin-1 map to themselves, the
/// others to characters from U+0100.
/// </summary>
internal static class ByteLetters
{
    private static readonly char[] Letters = Make();
    private static readonly Dictionary<char, byte> Bytes = Letters.Select(static (letter, value) => (letter, (byte)value)).ToDictionary();

    /// <summary>All characters in the order of OpenAI's vocabulary: those that map to themselves first.</summary>
    public static IEnumerable<string> InPublishedOrder =>
        Enumerable
            .Range(0, 256)
            .Where(static b => Letters[b] == b)
            .Concat(Enumerable.Range(0, 256).Where(static b => Letters[b] != b))
            .Select(static b => Letters[b].ToString());

    /// <summary>Character of a byte.</summary>
    public static char Of(byte value) => Letters[value];

    /// <summary>Byte of a character.</summary>
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
