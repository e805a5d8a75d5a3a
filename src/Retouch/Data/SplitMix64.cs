namespace Retouch.Data;

/// <summary>
/// Pseudo-random number generator with the same sequence on every machine: SplitMix64 (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014). A mutable value type: passing it by value copies its state.
/// </summary>
public struct SplitMix64(ulong seed)
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    private ulong _state = seed;

    /// <summary>
    /// Derives a seed from ordered parts; nearby parts give unrelated seeds. A sample's randomness can thus be derived from (seed,
    /// epoch, index), independent of the thread.
    /// </summary>
    public static ulong Derive(ulong seed, params ReadOnlySpan<ulong> parts)
    {
        var mixed = Mix(seed + Step);
        foreach (var part in parts)
            mixed = Mix((mixed ^ part) + Step);
        return mixed;
    }

    /// <summary>Next 64 bits.</summary>
    public ulong Next() => Mix(_state += Step);

    /// <summary>Next uniform integer in [0, <paramref name="end"/>).</summary>
    /// <param name="end">Exclusive upper bound, at least 1.</param>
    public int NextInt(int end)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(end, 1);
        // Rejects values above the largest multiple of end, so that all remainders are equally likely.
        var bound = (ulong)end;
        var rejected = (ulong.MaxValue % bound + 1) % bound;
        ulong drawn;
        do drawn = Next();
        while (drawn > ulong.MaxValue - rejected);
        return (int)(drawn % bound);
    }

    /// <summary>Next uniform number in [0, 1), a multiple of 2⁻⁵³.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Next uniform number in [<paramref name="low"/>, <paramref name="high"/>).</summary>
    public double NextDouble(double low, double high) => low + (high - low) * NextDouble();

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
