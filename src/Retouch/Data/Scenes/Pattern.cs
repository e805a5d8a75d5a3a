namespace Retouch.Data.Scenes;

/// <summary>
/// Waves and noise from additions, multiplications, floors and square roots only. IEEE 754 defines their rounding exactly, so that a
/// scene has the same bytes on every machine; sines and powers are not exact.
/// </summary>
internal static class Pattern
{
    /// <summary>Fractional part, in [0, 1).</summary>
    public static double Fraction(double x) => x - Math.Floor(x);

    /// <summary>Triangle wave of period 1: 0 at integers, 1 midway.</summary>
    public static double Wave(double x) => 1 - Math.Abs(2 * Fraction(x) - 1);

    /// <summary>Triangle wave smoothed at its extrema, in [0, 1].</summary>
    public static double RoundWave(double x)
    {
        var wave = Wave(x);
        return wave * wave * (3 - 2 * wave);
    }

    /// <summary>Smoothstep: 0 below <paramref name="low"/>, 1 above <paramref name="high"/>.</summary>
    public static double Step(double low, double high, double x)
    {
        var t = Math.Clamp((x - low) / (high - low), 0, 1);
        return t * t * (3 - 2 * t);
    }

    public static double Length(double x, double y) => Math.Sqrt(x * x + y * y);

    /// <summary>Pseudo-angle, increasing from 0 to 4 around the centre, computed without an arctangent.</summary>
    public static double Turn(double x, double y)
    {
        var sum = Math.Abs(x) + Math.Abs(y);
        if (sum == 0)
            return 0;
        var t = y / sum;
        return x >= 0 ? (y >= 0 ? t : 4 + t) : 2 - t;
    }

    /// <summary>Hash of a lattice point, in [0, 1).</summary>
    public static double Hash(long x, long y, ulong seed)
    {
        var z = (ulong)x * 0x9E3779B97F4A7C15 ^ (ulong)y * 0xC2B2AE3D27D4EB4F ^ seed;
        z = (z ^ (z >> 29)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 32)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>Value noise in [0, 1) with lattice spacing 1.</summary>
    public static double Noise(double x, double y, ulong seed)
    {
        double left = Math.Floor(x),
            top = Math.Floor(y);
        double u = x - left,
            v = y - top;
        u = u * u * (3 - 2 * u);
        v = v * v * (3 - 2 * v);
        long i = (long)left,
            j = (long)top;
        var upper = Hash(i, j, seed) * (1 - u) + Hash(i + 1, j, seed) * u;
        var lower = Hash(i, j + 1, seed) * (1 - u) + Hash(i + 1, j + 1, seed) * u;
        return upper * (1 - v) + lower * v;
    }

    /// <summary>Fractal noise in [0, 1): each octave has half the size and half the amplitude of the previous one.</summary>
    public static double Cloud(double x, double y, ulong seed, int octaves)
    {
        double sum = 0,
            weight = 0.5,
            total = 0;
        for (var octave = 0; octave < octaves; octave++)
        {
            sum += weight * Noise(x, y, seed + (ulong)octave);
            total += weight;
            (x, y, weight) = (2 * x + 17.3, 2 * y + 9.1, weight / 2);
        }

        return sum / total;
    }

    /// <summary>Cellular noise with one point per lattice cell.</summary>
    /// <returns>Distance to the nearest point, additional distance to the second nearest, and the nearest point's hash in [0,
    /// 1).</returns>
    public static (double Distance, double Gap, double Id) Cells(double x, double y, ulong seed)
    {
        long i = (long)Math.Floor(x),
            j = (long)Math.Floor(y);
        double first = 9,
            second = 9,
            id = 0;
        for (var dj = -1; dj <= 1; dj++)
        {
            for (var di = -1; di <= 1; di++)
            {
                var own = Hash(i + di, j + dj, seed);
                var dx = i + di + 0.15 + 0.7 * own - x;
                var dy = j + dj + 0.15 + 0.7 * Hash(i + di, j + dj, seed + 1) - y;
                var distance = dx * dx + dy * dy;
                if (distance < first)
                    (second, first, id) = (first, distance, own);
                else if (distance < second)
                    second = distance;
            }
        }

        first = Math.Sqrt(first);
        return (first, Math.Sqrt(second) - first, Fraction(id * 7.31));
    }
}
