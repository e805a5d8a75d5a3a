using System.Buffers.Binary;
using System.Text;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Character map of a sentencepiece normalizer (<c>precompiled_charsmap</c>): a double-array trie over UTF-8 (Aoe 1989; four bytes per
/// unit) whose leaves are offsets of zero-terminated replacement texts. T5's map is NFKC with a few changes.
/// </summary>
internal sealed class CharacterMap
{
    // The longest NFKC expansion has 33 bytes.
    private const int LongestText = 256;

    private readonly uint[] _units;
    private readonly byte[] _texts;
    private readonly string _origin;

    private CharacterMap(uint[] units, byte[] texts, string origin) => (_units, _texts, _origin) = (units, texts, origin);

    /// <summary>Parses a map: size of the trie in bytes, trie, texts. Empty bytes give the identity.</summary>
    /// <exception cref="InputException">The sizes are inconsistent.</exception>
    public static CharacterMap Parse(ReadOnlySpan<byte> bytes, string origin)
    {
        if (bytes.IsEmpty)
            return new CharacterMap([], [], origin);
        var size = bytes.Length < 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (size == 0 || size % 4 != 0 || size > bytes.Length - 4)
            throw new InputException(
                $"'{origin}': precompiled_charsmap has {bytes.Length} bytes, which does not match its trie of {size} bytes. Download the "
                    + $"file again."
            );
        var units = new uint[size / 4];
        for (var k = 0; k < units.Length; k++)
            units[k] = BinaryPrimitives.ReadUInt32LittleEndian(bytes[(4 + (4 * k))..]);
        return new CharacterMap(units, bytes[(4 + (int)size)..].ToArray(), origin);
    }

    /// <summary>Replacement of the longest matching prefix, or the first character unchanged.</summary>
    /// <param name="text">Non-empty UTF-8.</param>
    /// <param name="length">Number of bytes replaced.</param>
    /// <exception cref="InputException">A leaf's offset is outside the map.</exception>
    public ReadOnlySpan<byte> Replace(ReadOnlySpan<byte> text, out int length)
    {
        var (matched, target) = Longest(text);
        if (matched == 0)
        {
            Rune.DecodeFromUtf8(text, out _, out length);
            return text[..length];
        }

        length = matched;
        var rest = target < _texts.Length ? _texts.AsSpan(target) : default;
        var end = rest[..Math.Min(rest.Length, LongestText + 1)].IndexOf((byte)0);
        return end >= 0
            ? rest[..end]
            : throw new InputException($"'{_origin}': precompiled_charsmap refers to a missing text. Download the file again.");
    }

    private (int Length, int Target) Longest(ReadOnlySpan<byte> text)
    {
        var best = (0, 0);
        if (_units.Length == 0)
            return best;
        var node = Offset(_units[0]);
        for (var k = 0; k < text.Length; k++)
        {
            node ^= text[k];
            if (node >= _units.Length || (_units[node] & 0x800000FF) != text[k])
                break;
            var unit = _units[node];
            node ^= Offset(unit);
            if (node >= _units.Length)
                break;
            if ((unit & 0x100) != 0)
                best = (k + 1, (int)(_units[node] & 0x7FFFFFFF));
        }

        return best;
    }

    /// <summary>Relative offset of a unit's children: 21 bits, in steps of 256 if bit 9 is set.</summary>
    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);
}
