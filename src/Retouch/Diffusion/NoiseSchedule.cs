using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Shape of the variances β_t of a DDPM schedule, by diffusers' names.</summary>
public enum BetaSchedule
{
    /// <summary>β linear in the step (Ho et al. 2020).</summary>
    Linear,

    /// <summary>√β linear in the step, the latent diffusion schedule (Rombach et al. 2022).</summary>
    ScaledLinear,

    /// <summary>β from a squared-cosine ᾱ, capped at 0.999 (Nichol and Dhariwal 2021).</summary>
    SquaredCosCapV2,
}

/// <summary>
/// Variances β_t of a DDPM forward process and ᾱ_t = Π(1 − β_s). Computed in float32 with the operators that diffusers uses, so that
/// the values equal diffusers' up to the last digits, which are processor-dependent in diffusers too.
/// </summary>
public sealed class NoiseSchedule
{
    private readonly float[] _betas;
    private readonly float[] _alphasCumprod;

    private NoiseSchedule(float[] betas, BetaSchedule? shape, double start, double end, bool zeroTerminalSnr)
    {
        if (betas.Length < 2)
            throw new UsageException($"A noise schedule of {betas.Length} steps: at least 2 are needed (published models: 1000).");
        foreach (var beta in betas)
        {
            if (!(beta is > 0 and <= 1))
                throw new UsageException(
                    $"A noise schedule with a β of {beta}: every β must lie in (0, 1] (latent diffusion: from 0.00085 to 0.012)."
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

    /// <summary>Schedule shape; null for explicitly given variances.</summary>
    public BetaSchedule? Shape { get; }

    /// <summary>β of the first step (linear and scaled linear).</summary>
    public double BetaStart { get; }

    /// <summary>β of the last step (linear and scaled linear).</summary>
    public double BetaEnd { get; }

    /// <summary>Whether the schedule is rescaled to zero terminal SNR.</summary>
    public bool ZeroTerminalSnr { get; }

    /// <summary>Number of steps.</summary>
    public int Steps => _betas.Length;

    /// <summary>β_t, [steps].</summary>
    public ReadOnlySpan<float> Betas => _betas;

    /// <summary>ᾱ_t, descending, [steps]; the last is 0 with zero terminal SNR.</summary>
    public ReadOnlySpan<float> AlphasCumprod => _alphasCumprod;

    /// <summary>Latent diffusion schedule: √β linear, β from 0.00085 to 0.012.</summary>
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

    /// <summary>Schedule of DDPM and DiT: β linear from 0.0001 to 0.02.</summary>
    public static NoiseSchedule Linear(double start = 0.0001, double end = 0.02, int steps = 1000, bool zeroTerminalSnr = false)
    {
        using var scope = TensorScope.Enter();
        return new(Line(start, end, steps).ToArray<float>(), BetaSchedule.Linear, start, end, zeroTerminalSnr);
    }

    /// <summary>Squared-cosine schedule: β from ᾱ(t) = cos²(π/2·(t + 0.008)/1.008), at most 0.999.</summary>
    public static NoiseSchedule SquaredCos(int steps = 1000, bool zeroTerminalSnr = false)
    {
        const double Offset = 0.008;
        var betas = new float[Math.Max(steps, 0)];
        for (var k = 0; k < betas.Length; k++)
            betas[k] = (float)Math.Min(1 - (AlphaBar((k + 1.0) / steps) / AlphaBar((double)k / steps)), 0.999);
        // diffusers writes its default beta_start and beta_end for this shape, where they are unused.
        return new(betas, BetaSchedule.SquaredCosCapV2, 0.0001, 0.02, zeroTerminalSnr);

        static double AlphaBar(double t)
        {
            var root = Math.Cos((t + Offset) / (1 + Offset) * Math.PI / 2);
            return root * root;
        }
    }

    /// <summary>Schedule of explicitly given variances, each in (0, 1].</summary>
    public static NoiseSchedule FromBetas(ReadOnlySpan<float> betas, bool zeroTerminalSnr = false) =>
        new(betas.ToArray(), null, 0, 0, zeroTerminalSnr);

    /// <summary>Schedule of a given shape.</summary>
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
            : throw new UsageException($"A noise schedule of {steps} steps: at least 2 are needed (published models: 1000).");

    /// <summary>
    /// Shifts and scales √ᾱ_t so that the last value is 0 and the first is unchanged (Lin et al., "Common Diffusion Noise Schedules and
    /// Sample Steps are Flawed", 2024, algorithm 1).
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
