using System.Globalization;
using System.Text;
using Retouch.Data;

namespace Retouch.Fuzz;

/// <summary>Mutates valid files: the same seed and number give the same bytes.</summary>
/// <param name="seeds">Valid files.</param>
/// <param name="seed">Seed of all mutations.</param>
public sealed class Mutator(IReadOnlyList<byte[]> seeds, ulong seed)
{
    private const int MostBytes = 1 << 20;

    private static readonly long[] Numbers =
    [
        0,
        1,
        -1,
        2,
        7,
        8,
        127,
        128,
        255,
        256,
        32767,
        65535,
        65536,
        1 << 20,
        100_000_000,
        int.MaxValue,
        int.MinValue,
        uint.MaxValue,
        long.MaxValue,
        long.MinValue,
        long.MaxValue - 7,
    ];

    private static readonly string[] Words =
    [
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\"x\"",
        "[[",
        "1e999",
        "-0",
        "0.5",
        "NaN",
        "\\ud800",
        "\u0000",
        "\"_class_name\":",
        "[1,2,3]",
        ",",
        ":",
        "\"a\":1",
        "1000000",
        "4294967296",
        "[-1]",
        "[0]",
        "[8,8,8,8,8,8,8,8,8]",
        "\r\n",
        "\uFEFF",
    ];

    private ulong _state;

    /// <summary>Input of a number.</summary>
    public byte[] Create(long number)
    {
        _state = SplitMix64.Derive(seed, (ulong)number);
        var bytes = (byte[])seeds[Below(seeds.Count)].Clone();
        var count = 1 + Below(3);
        for (var k = 0; k < count; k++)
            bytes = Mutate(bytes);
        return bytes.Length <= MostBytes ? bytes : bytes[..MostBytes];
    }

    private byte[] Mutate(byte[] bytes)
    {
        if (bytes.Length == 0)
            return [(byte)Below(256)];
        var at = Below(bytes.Length);
        switch (Below(10))
        {
            case 0:
                bytes[at] ^= (byte)(1 << Below(8));
                return bytes;
            case 1:
                bytes[at] = (byte)Numbers[Below(Numbers.Length)];
                return bytes;
            case 2:
                return bytes[..at];
            case 3:
                return Replace(bytes, at, Below(Math.Min(64, bytes.Length - at)) + 1, []);
            case 4:
                var length = Below(Math.Min(64, bytes.Length - at)) + 1;
                return Replace(bytes, Below(bytes.Length), 0, bytes.AsSpan(at, length));
            case 5:
                return Replace(bytes, at, 0, Random(Below(16) + 1));
            case 6:
                var other = seeds[Below(seeds.Count)];
                var from = Below(other.Length);
                return Replace(
                    bytes,
                    at,
                    Below(Math.Min(256, bytes.Length - at) + 1),
                    other.AsSpan(from, Below(Math.Min(256, other.Length - from) + 1))
                );
            case 7:
                var width = 1 << Below(4);
                return Replace(
                    bytes,
                    at,
                    Math.Min(width, bytes.Length - at),
                    BitConverter.GetBytes(Numbers[Below(Numbers.Length)]).AsSpan(0, width)
                );
            case 8:
                return Renumber(bytes, at);
            default:
                return Replace(bytes, at, Below(8), Encoding.UTF8.GetBytes(Words[Below(Words.Length)]));
        }
    }

    /// <summary>Replaces the next number in the text.</summary>
    private byte[] Renumber(byte[] bytes, int at)
    {
        var start = Array.FindIndex(bytes, at, static b => b is >= (byte)'0' and <= (byte)'9');
        if (start < 0)
            return bytes;
        var end = start;
        while (end < bytes.Length && bytes[end] is >= (byte)'0' and <= (byte)'9')
            end++;
        return Replace(
            bytes,
            start,
            end - start,
            Encoding.ASCII.GetBytes(Numbers[Below(Numbers.Length)].ToString(CultureInfo.InvariantCulture))
        );
    }

    private static byte[] Replace(byte[] bytes, int at, int count, ReadOnlySpan<byte> with)
    {
        count = Math.Min(count, bytes.Length - at);
        return [.. bytes.AsSpan(0, at), .. with, .. bytes.AsSpan(at + count)];
    }

    private byte[] Random(int count)
    {
        var bytes = new byte[count];
        for (var k = 0; k < count; k++)
            bytes[k] = (byte)Below(256);
        return bytes;
    }

    private int Below(int bound)
    {
        _state = SplitMix64.Derive(_state, 1);
        return (int)(_state % (ulong)bound);
    }
}
