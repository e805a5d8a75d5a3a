using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Prediction target of a DDPM network.</summary>
public enum PredictionType
{
    /// <summary>The noise ε (Ho et al. 2020).</summary>
    Epsilon,

    /// <summary>The velocity v = a_t·ε − b_t·z0 (Salimans and Ho 2022).</summary>
    VPrediction,

    /// <summary>The clean latent z0.</summary>
    Sample,
}

/// <summary>
/// The variance-preserving forward process in discrete steps: a_t = √ᾱ_t, b_t = √(1 − ᾱ_t). Conversions: ε prediction,
/// ẑ0 = (z_t − b_t·ε̂)/a_t; v prediction, ẑ0 = a_t·z_t − b_t·v̂ and ε̂ = b_t·z_t + a_t·v̂.
/// </summary>
public sealed class DdpmFormulation : Formulation
{
    // σ is infinite at zero SNR, but samplers that step in σ or ln σ need a number: as in diffusers, σ of ᾱ = 2⁻²⁴ (float16's
    // smallest).
    private static readonly double LargestSigma = Math.Sqrt(Math.ScaleB(1, 24) - 1);

    private readonly double[] _sigmas;

    /// <param name="schedule">Variance schedule.</param>
    /// <param name="prediction">Prediction target of the network.</param>
    /// <param name="density">Training density of t in [0, 1], of which ⌊t·steps⌋ is the step; null for uniform.</param>
    /// <exception cref="UsageException">ε prediction with a schedule of zero terminal SNR.</exception>
    public DdpmFormulation(NoiseSchedule schedule, PredictionType prediction = PredictionType.Epsilon, TimestepDensity? density = null)
        : base(density)
    {
        ArgumentNullException.ThrowIfNull(schedule);
        if (prediction == PredictionType.Epsilon && schedule.AlphasCumprod[^1] <= 0)
            throw new UsageException(
                "ε prediction is undefined at a step of pure noise: with a zero terminal SNR, use v_prediction or sample, or do not "
                    + "rescale the schedule."
            );
        (Schedule, Prediction) = (schedule, prediction);
        _sigmas = new double[schedule.Steps];
        for (var k = 0; k < _sigmas.Length; k++)
            _sigmas[k] = Math.Min(AtStep(k).Sigma, LargestSigma);
    }

    /// <summary>Variance schedule.</summary>
    public NoiseSchedule Schedule { get; }

    /// <summary>Prediction target of the network.</summary>
    public PredictionType Prediction { get; }

    /// <inheritdoc/>
    public override int TrainSteps => Schedule.Steps;

    /// <summary>σ_t of every step, ascending, [steps]; √(2²⁴ − 1) for pure noise.</summary>
    public ReadOnlySpan<double> Sigmas => _sigmas;

    /// <inheritdoc/>
    /// <remarks>σ is interpolated linearly between steps, as in samplers that step in σ.</remarks>
    public override NoisePoint PointAt(double model)
    {
        if (!(model >= 0 && model <= Schedule.Steps - 1))
            throw new ArgumentOutOfRangeException(nameof(model), model, $"The schedule has steps 0 to {Schedule.Steps - 1}.");
        var below = (int)model;
        var part = model - below;
        return part == 0 ? AtStep(below) : OfSigma(_sigmas[below] + (part * (_sigmas[below + 1] - _sigmas[below])), model);
    }

    /// <summary>As <see cref="PointAt"/>, but with a finite σ, √(2²⁴ − 1), for pure noise: the start of solvers that step in
    /// σ.</summary>
    /// <param name="model">Timestep, 0 to steps − 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timestep lies outside the schedule.</exception>
    public NoisePoint FinitePointAt(double model) => PointAt(model) is { A: > 0 } point ? point : OfSigma(LargestSigma, model);

    /// <summary>
    /// The noise point of a given σ. Its timestep is interpolated in ln σ and clamped to the schedule, as in Karras et al. 2022
    /// sampling of DDPM networks.
    /// </summary>
    /// <param name="sigma">Noise-to-signal ratio, finite, at least 0.</param>
    public NoisePoint PointOfSigma(double sigma)
    {
        if (!(sigma >= 0 && double.IsFinite(sigma)))
            throw new ArgumentOutOfRangeException(nameof(sigma), sigma, "σ must be finite and not negative.");
        if (sigma <= _sigmas[0])
            return OfSigma(sigma, 0);
        var above = Array.BinarySearch(_sigmas, sigma);
        if (above >= 0)
            return FinitePointAt(above);
        above = ~above;
        if (above == _sigmas.Length)
            return OfSigma(sigma, above - 1);
        var (low, high) = (_sigmas[above - 1], _sigmas[above]);
        return OfSigma(sigma, above - 1 + (Math.Log(sigma / low) / Math.Log(high / low)));
    }

    /// <inheritdoc/>
    public override double[] TimesOf(double[] drawn) => Array.ConvertAll(drawn, TimeAt);

    /// <inheritdoc/>
    public override double TimeAt(double fraction) => Math.Min(Math.Floor(fraction * TrainSteps), TrainSteps - 1);

    /// <inheritdoc/>
    public override Tensor Target(NoisedLatent noisy)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        switch (Prediction)
        {
            case PredictionType.Epsilon:
                return noisy.Noise;
            case PredictionType.Sample:
                return noisy.Clean.Value;
            default:
                using (var scope = TensorScope.Enter())
                    return scope.Keep((Broadcast(noisy.Level.A) * noisy.Noise) - (Broadcast(noisy.Level.B) * noisy.Clean.Value));
        }
    }

    /// <inheritdoc/>
    protected override (Tensor Z0, Tensor Noise) Read(Tensor noisy, NoiseLevel level, Tensor output)
    {
        ArgumentNullException.ThrowIfNull(level);
        var (a, b) = (Broadcast(level.A), Broadcast(level.B));
        return Prediction switch
        {
            PredictionType.Epsilon => ((noisy - (b * output)) / a, output),
            PredictionType.VPrediction => ((a * noisy) - (b * output), (b * noisy) + (a * output)),
            _ => (output, (noisy - (a * output)) / b),
        };
    }

    /// <inheritdoc/>
    /// <remarks>ε: min(SNR, γ)/SNR; v: min(SNR, γ)/(SNR + 1); z0: min(SNR, γ).</remarks>
    protected override Tensor MinSnrWeights(NoiseLevel level, double gamma)
    {
        ArgumentNullException.ThrowIfNull(level);
        return Prediction switch
        {
            PredictionType.Epsilon => (level.Sigma.Square() * gamma).ClampMax(1.0),
            PredictionType.VPrediction => Ops.Minimum(level.A.Square(), level.B.Square() * gamma),
            _ => level.Snr().ClampMax(gamma),
        };
    }

    private static NoisePoint OfSigma(double sigma, double model)
    {
        var a = 1 / Math.Sqrt(1 + (sigma * sigma));
        return new(model, a, sigma * a);
    }

    private NoisePoint AtStep(int step)
    {
        double signal = Schedule.AlphasCumprod[step];
        return new(step, Math.Sqrt(signal), Math.Sqrt(1 - signal));
    }
}
