using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Families of densities over t in [0, 1] (Esser et al., "Scaling Rectified Flow Transformers", 2024, section 3.1).</summary>
public enum TimestepDensityKind
{
    /// <summary>Uniform on [0, 1].</summary>
    Uniform,

    /// <summary>Sigmoid of a normal variable: low density near 0 and 1.</summary>
    LogitNormal,

    /// <summary>Mode sampling with heavy tails: positive on all of [0, 1].</summary>
    Mode,
}

/// <summary>Training density of t, from 0 (image) to 1 (noise).</summary>
public sealed record TimestepDensity
{
    // f of mode sampling is monotonic in this range (Esser et al. 2024, below eq. 20).
    private const double LeastModeScale = -1;
    private static readonly double MostModeScale = 2 / (Math.PI - 2);

    private TimestepDensity(TimestepDensityKind kind, double mean, double deviation, double scale) =>
        (Kind, Mean, Deviation, Scale) = (kind, mean, deviation, scale);

    /// <summary>Uniform on [0, 1].</summary>
    public static TimestepDensity Uniform { get; } = new(TimestepDensityKind.Uniform, 0, 1, 0);

    /// <summary>Density family.</summary>
    public TimestepDensityKind Kind { get; }

    /// <summary>Location m of the logit-normal density.</summary>
    public double Mean { get; }

    /// <summary>Scale s of the logit-normal density.</summary>
    public double Deviation { get; }

    /// <summary>Scale s of mode sampling; 0 is uniform, above 0 favours the middle.</summary>
    public double Scale { get; }

    /// <summary>Logit-normal density: t = 1/(1 + e^−x), x normal.</summary>
    /// <param name="mean">Mean of x; below 0 favours images, above 0 noise.</param>
    /// <param name="deviation">Standard deviation of x, above 0.</param>
    /// <exception cref="UsageException">A parameter is not finite, or the deviation is not above 0.</exception>
    public static TimestepDensity LogitNormal(double mean = 0, double deviation = 1) =>
        double.IsFinite(mean) && double.IsFinite(deviation) && deviation > 0
            ? new(TimestepDensityKind.LogitNormal, mean, deviation, 0)
            : throw new UsageException(
                $"A logit-normal density with mean {mean} and deviation {deviation}: both must be numbers, the deviation above 0."
            );

    /// <summary>Mode sampling: t = 1 − u − s·(cos²(π·u/2) − 1 + u), u uniform (Esser et al. 2024, eq. 20).</summary>
    /// <param name="scale">Scale s, from −1 to 2/(π − 2) ≈ 1.75; 1.29 is the paper's best.</param>
    /// <exception cref="UsageException">The scale is out of range.</exception>
    public static TimestepDensity Mode(double scale = 1.29) =>
        scale >= LeastModeScale && scale <= MostModeScale
            ? new(TimestepDensityKind.Mode, 0, 1, scale)
            : throw new UsageException($"Mode sampling with scale {scale}: it must lie between −1 and {MostModeScale:F3}.");

    /// <summary>Draws times from the density.</summary>
    /// <param name="count">Number of times.</param>
    /// <param name="generator">CPU generator.</param>
    /// <returns>Times in [0, 1], [count].</returns>
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

    /// <summary>
    /// Times of equally spaced quantiles with a common offset: fractions (offset + (micro + micros·k)/(count·micros)) mod 1 for sample k.
    /// Each time has this density; in any interval, the numbers of samples of two micro-batches differ by at most 1 ("low-discrepancy
    /// sampler", Kingma et al., "Variational Diffusion Models", 2021, appendix I.1, over several micro-batches).
    /// </summary>
    /// <param name="offset">Uniform variable in [0, 1), the same for all micro-batches.</param>
    /// <param name="count">Samples per micro-batch.</param>
    /// <param name="micro">Index of the micro-batch.</param>
    /// <param name="micros">Number of micro-batches.</param>
    /// <returns>Times in [0, 1], [count].</returns>
    public double[] Stratified(double offset, int count, int micro, int micros)
    {
        using var scope = TensorScope.Enter();
        var step = (double)count * micros;
        double[] uniforms = [.. Enumerable.Range(0, count).Select(k => (offset + ((micro + ((double)micros * k)) / step)) % 1)];
        if (Kind != TimestepDensityKind.LogitNormal)
            return Array.ConvertAll(uniforms, FromUniform);
        var normals = Math.Sqrt(2) * ((2 * Tensor.From(uniforms, count)) - 1).Erfinv();
        return Array.ConvertAll(normals.ToArray<double>(), FromNormal);
    }

    /// <summary>Maps a standard normal variable to a time (logit-normal only).</summary>
    public double FromNormal(double normal) =>
        Kind == TimestepDensityKind.LogitNormal
            ? 1 / (1 + Math.Exp(-(Mean + (Deviation * normal))))
            : throw new InvalidOperationException($"{Kind} is sampled from a uniform variable.");

    /// <summary>Maps a uniform variable to a time (uniform and mode sampling).</summary>
    public double FromUniform(double uniform) =>
        Kind switch
        {
            TimestepDensityKind.Uniform => uniform,
            TimestepDensityKind.Mode => 1 - uniform - (Scale * (Math.Pow(Math.Cos(Math.PI * uniform / 2), 2) - 1 + uniform)),
            _ => throw new InvalidOperationException("A logit-normal time is sampled from a normal variable."),
        };

    /// <summary>Probability density at t; 0 outside [0, 1].</summary>
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

    /// <summary>1/|f'(u)| at the u with f(u) = t, found by bisection since f is decreasing.</summary>
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
