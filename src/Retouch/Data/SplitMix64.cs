namespace Retouch.Data;

/// <summary>
/// A small generator of random numbers whose sequence is the same on every machine: SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014). A value type: whoever passes it on by value passes a copy.
/// </summary>
public struct SplitMix64(ulong seed)
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    private ulong state = seed;

    /// <summary>
    /// A seed that depends on all of its parts and on their order; nearby parts give unrelated seeds. So a sample's randomness can be
    /// derived from (seed, epoch, index), whichever thread computes it.
    /// </summary>
    public static ulong Derive(ulong seed, params ReadOnlySpan<ulong> parts)
    {
        var mixed = Mix(seed + Step);
        foreach (var part in parts)
            mixed = Mix((mixed ^ part) + Step);
        return mixed;
    }

    /// <summary>The next 64 bits.</summary>
    public ulong Next() => Mix(state += Step);

    /// <summary>The next number from 0 up to and without <paramref name="end"/>, each equally likely.</summary>
    /// <param name="end">At least 1.</param>
    public int NextInt(int end)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(end, 1);
        // The highest multiple of end below 2^64 bounds what is taken, so that no remainder is favoured.
        var bound = (ulong)end;
        var rejected = (ulong.MaxValue % bound + 1) % bound;
        ulong drawn;
        do drawn = Next();
        while (drawn > ulong.MaxValue - rejected);
        return (int)(drawn % bound);
    }

    /// <summary>The next number in [0, 1), a multiple of 2^-53.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>The next number in [<paramref name="low"/>, <paramref name="high"/>).</summary>
    public double NextDouble(double low, double high) => low + (high - low) * NextDouble();

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
