using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Families of densities over t in [0, 1] (Esser et al., "Scaling Rectified Flow Transformers", 2024, section 3.1).</summary>
public enum TimestepDensityKind
{
    /// <summary>The same everywhere.</summary>
    Uniform,

    /// <summary>The logistic function of a normal variable: little weight near 0 and 1.</summary>
    LogitNormal,

    /// <summary>Mode sampling with heavy tails: positive everywhere.</summary>
    Mode,
}

/// <summary>Where in t, from 0 (image) to 1 (noise), training looks how often.</summary>
public sealed record TimestepDensity
{
    // f of mode sampling is monotonic between these (Esser et al. 2024, below eq. 20).
    private const double LeastModeScale = -1;
    private static readonly double MostModeScale = 2 / (Math.PI - 2);

    private TimestepDensity(TimestepDensityKind kind, double mean, double deviation, double scale) =>
        (Kind, Mean, Deviation, Scale) = (kind, mean, deviation, scale);

    /// <summary>The same everywhere.</summary>
    public static TimestepDensity Uniform { get; } = new(TimestepDensityKind.Uniform, 0, 1, 0);

    /// <summary>The family.</summary>
    public TimestepDensityKind Kind { get; }

    /// <summary>m of the logit-normal density.</summary>
    public double Mean { get; }

    /// <summary>s of the logit-normal density.</summary>
    public double Deviation { get; }

    /// <summary>s of mode sampling; 0 is uniform, above 0 favours the middle.</summary>
    public double Scale { get; }

    /// <summary>t = 1/(1 + e^−x), x normal.</summary>
    /// <param name="mean">Of x; below 0 favours images, above 0 noise.</param>
    /// <param name="deviation">Of x, above 0.</param>
    /// <exception cref="UsageException">No such density.</exception>
    public static TimestepDensity LogitNormal(double mean = 0, double deviation = 1) =>
        double.IsFinite(mean) && double.IsFinite(deviation) && deviation > 0
            ? new(TimestepDensityKind.LogitNormal, mean, deviation, 0)
            : throw new UsageException(
                $"A logit-normal density of mean {mean} and deviation {deviation}: both must be numbers, the deviation above 0."
            );

    /// <summary>t = 1 − u − s·(cos²(π·u/2) − 1 + u), u uniform (eq. 20).</summary>
    /// <param name="scale">s, from −1 to 2/(π − 2) ≈ 1.75; the paper's best is 1.29.</param>
    /// <exception cref="UsageException">No such density.</exception>
    public static TimestepDensity Mode(double scale = 1.29) =>
        scale >= LeastModeScale && scale <= MostModeScale
            ? new(TimestepDensityKind.Mode, 0, 1, scale)
            : throw new UsageException($"Mode sampling with scale {scale}: it must lie between −1 and {MostModeScale:F3}.");

    /// <summary>Draws times.</summary>
    /// <param name="count">How many.</param>
    /// <param name="generator">On the CPU.</param>
    /// <returns>In [0, 1].</returns>
    public double[] Sample(int count, Generator generator)
    {
        using var scope = TensorScope.Enter();
        return Kind switch
        {
            TimestepDensityKind.LogitNormal => Array.ConvertAll(
                Ops.Randn([count], generator, dtype: DType.Float64).ToArray<double>(),
                FromNormal
            ),
            TimestepDensityKind.Mode => Array.ConvertAll(Ops.Rand([count], generator, dtype: DType.Float64).ToArray<double>(), FromUniform),
            _ => Ops.Rand([count], generator, dtype: DType.Float64).ToArray<double>(),
        };
    }

    /// <summary>The time that a standard normal variable is turned into (logit-normal only).</summary>
    public double FromNormal(double normal) =>
        Kind == TimestepDensityKind.LogitNormal
            ? 1 / (1 + Math.Exp(-(Mean + (Deviation * normal))))
            : throw new InvalidOperationException($"{Kind} is made from a uniform variable.");

    /// <summary>The time that a uniform variable is turned into (not logit-normal).</summary>
    public double FromUniform(double uniform) =>
        Kind switch
        {
            TimestepDensityKind.Uniform => uniform,
            TimestepDensityKind.Mode => 1 - uniform - (Scale * (Math.Pow(Math.Cos(Math.PI * uniform / 2), 2) - 1 + uniform)),
            _ => throw new InvalidOperationException("A logit-normal time is made from a normal variable."),
        };

    /// <summary>The probability density at t, which integrates to 1 over [0, 1].</summary>
    public double Density(double t)
    {
        if (!(t is >= 0 and <= 1))
            return 0;
        if (Kind == TimestepDensityKind.Uniform)
            return 1;
        if (Kind == TimestepDensityKind.Mode)
            return ModeDensity(t);
        if (t is 0 or 1)
            return 0;
        var x = (Math.Log(t / (1 - t)) - Mean) / Deviation;
        return Math.Exp(-x * x / 2) / (Deviation * Math.Sqrt(2 * Math.PI) * t * (1 - t));
    }

    /// <summary>1/|f'(u)| at the u that f maps to t; f falls, so that halving the interval finds it.</summary>
    private double ModeDensity(double t)
    {
        var (low, high) = (0.0, 1.0);
        for (var k = 0; k < 60; k++)
        {
            var middle = (low + high) / 2;
            if (FromUniform(middle) > t)
                low = middle;
            else
                high = middle;
        }

        var slope = -1 - (Scale * (1 - (Math.PI / 2 * Math.Sin(Math.PI * (low + high) / 2))));
        return 1 / Math.Abs(slope);
    }
}
