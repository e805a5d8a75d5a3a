using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>How the variances β_t of a DDPM schedule grow, by diffusers' names.</summary>
public enum BetaSchedule
{
    /// <summary>In a line (Ho et al. 2020).</summary>
    Linear,

    /// <summary>Their roots in a line: latent diffusion's own (Rombach et al. 2022).</summary>
    ScaledLinear,

    /// <summary>From a squared cosine, capped at 0.999 (Nichol and Dhariwal 2021).</summary>
    SquaredCosCapV2,
}

/// <summary>
/// Variances β_t of a DDPM forward process and ᾱ_t = Π(1 − β_s), computed in float32 by the operators that diffusers uses, so that both
/// are its numbers but for the last places, which depend on the processor there too.
/// </summary>
public sealed class NoiseSchedule
{
    private readonly float[] _betas;
    private readonly float[] _alphasCumprod;

    private NoiseSchedule(float[] betas, BetaSchedule? shape, double start, double end, bool zeroTerminalSnr)
    {
        if (betas.Length < 2)
            throw new UsageException($"A noise schedule of {betas.Length} steps: at least 2 are needed, published models have 1000.");
        foreach (var beta in betas)
        {
            if (!(beta is > 0 and <= 1))
                throw new UsageException(
                    $"A noise schedule with a β of {beta}: all must lie above 0 and not above 1 (latent diffusion's run from "
                        + $"0.00085 to 0.012)."
                );
        }

        (Shape, BetaStart, BetaEnd, ZeroTerminalSnr) = (shape, start, end, zeroTerminalSnr);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var tensor = Tensor.From(betas);
        if (zeroTerminalSnr)
            tensor = RescaleToZeroTerminalSnr(tensor);
        _betas = tensor.ToArray<float>();
        _alphasCumprod = (1 - tensor).Cumprod(0).ToArray<float>();
    }

    /// <summary>The formula; null where the variances were given one by one.</summary>
    public BetaSchedule? Shape { get; }

    /// <summary>β of the first step (linear shapes).</summary>
    public double BetaStart { get; }

    /// <summary>β of the last step (linear shapes).</summary>
    public double BetaEnd { get; }

    /// <summary>Whether the last step was rescaled to pure noise.</summary>
    public bool ZeroTerminalSnr { get; }

    /// <summary>Steps.</summary>
    public int Steps => _betas.Length;

    /// <summary>β_t.</summary>
    public ReadOnlySpan<float> Betas => _betas;

    /// <summary>ᾱ_t, falling; the last is 0 with a zero terminal signal-to-noise ratio.</summary>
    public ReadOnlySpan<float> AlphasCumprod => _alphasCumprod;

    /// <summary>Latent diffusion's schedule: β from 0.00085 to 0.012, their roots in a line.</summary>
    public static NoiseSchedule ScaledLinear(double start = 0.00085, double end = 0.012, int steps = 1000, bool zeroTerminalSnr = false)
    {
        using var scope = TensorScope.Enter();
        return new(
            Line(Math.Sqrt(start), Math.Sqrt(end), steps).Square().ToArray<float>(),
            BetaSchedule.ScaledLinear,
            start,
            end,
            zeroTerminalSnr
        );
    }

    /// <summary>DDPM's schedule, also DiT's: β from 0.0001 to 0.02 in a line.</summary>
    public static NoiseSchedule Linear(double start = 0.0001, double end = 0.02, int steps = 1000, bool zeroTerminalSnr = false)
    {
        using var scope = TensorScope.Enter();
        return new(Line(start, end, steps).ToArray<float>(), BetaSchedule.Linear, start, end, zeroTerminalSnr);
    }

    /// <summary>β from ᾱ(t) = cos²(π/2·(t + 0.008)/1.008), at most 0.999.</summary>
    public static NoiseSchedule SquaredCos(int steps = 1000, bool zeroTerminalSnr = false)
    {
        const double Offset = 0.008;
        var betas = new float[Math.Max(steps, 0)];
        for (var k = 0; k < betas.Length; k++)
            betas[k] = (float)Math.Min(1 - (AlphaBar((k + 1.0) / steps) / AlphaBar((double)k / steps)), 0.999);
        // diffusers keeps its defaults for both ends in the configuration; they mean nothing here.
        return new(betas, BetaSchedule.SquaredCosCapV2, 0.0001, 0.02, zeroTerminalSnr);

        static double AlphaBar(double t)
        {
            var root = Math.Cos((t + Offset) / (1 + Offset) * Math.PI / 2);
            return root * root;
        }
    }

    /// <summary>Variances given one by one.</summary>
    public static NoiseSchedule FromBetas(ReadOnlySpan<float> betas, bool zeroTerminalSnr = false) =>
        new(betas.ToArray(), null, 0, 0, zeroTerminalSnr);

    /// <summary>A schedule by the name of its shape.</summary>
    public static NoiseSchedule Create(BetaSchedule shape, double start, double end, int steps, bool zeroTerminalSnr = false) =>
        shape switch
        {
            BetaSchedule.Linear => Linear(start, end, steps, zeroTerminalSnr),
            BetaSchedule.ScaledLinear => ScaledLinear(start, end, steps, zeroTerminalSnr),
            BetaSchedule.SquaredCosCapV2 => SquaredCos(steps, zeroTerminalSnr),
            _ => throw new ArgumentOutOfRangeException(nameof(shape), shape, "Unknown schedule."),
        };

    private static Tensor Line(double start, double end, int steps) =>
        steps >= 2
            ? Ops.Linspace(start, end, steps, dtype: DType.Float32)
            : throw new UsageException($"A noise schedule of {steps} steps: at least 2 are needed, published models have 1000.");

    /// <summary>
    /// Shifts and stretches √ᾱ_t so that the last is 0 and the first stays (Lin et al., "Common Diffusion Noise Schedules and Sample Steps
    /// are Flawed", 2024, algorithm 1).
    /// </summary>
    private static Tensor RescaleToZeroTerminalSnr(Tensor betas)
    {
        var roots = (1 - betas).Cumprod(0).Sqrt();
        var steps = betas.Shape[0];
        var (first, last) = (roots.Select(0, 0), roots.Select(0, steps - 1));
        var squares = ((roots - last) * (first / (first - last))).Square();
        var ratios = squares.Narrow(0, 1, steps - 1) / squares.Narrow(0, 0, steps - 1);
        return 1 - Ops.Cat([squares.Narrow(0, 0, 1), ratios]);
    }
}
