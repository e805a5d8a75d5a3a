using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>
/// Rectified flow on the straight path of conditional optimal transport: a_t = 1 − t, b_t = t. The network predicts v = ε − z0;
/// ẑ0 = z_t − t·v̂ and ε̂ = z_t + (1 − t)·v̂, both finite on [0, 1].
/// </summary>
public sealed class FlowFormulation : Formulation
{
    /// <param name="density">Training density of t, before the shift; null for uniform.</param>
    /// <param name="shift">Timestep shift s towards noise: t' = s·t/(1 + (s − 1)·t) (Esser et al. 2024, eq. 23); above 0, 1 for none.
    /// SD3 uses 3.</param>
    /// <param name="trainSteps">Network timestep at t = 1.</param>
    /// <exception cref="UsageException">The shift is not a finite number above 0, or <paramref name="trainSteps"/> is below
    /// 1.</exception>
    public FlowFormulation(TimestepDensity? density = null, double shift = 1, int trainSteps = 1000)
        : base(density)
    {
        if (!(shift > 0 && double.IsFinite(shift)))
            throw new UsageException($"A flow with shift {shift}: the shift must be a number above 0 (1: none; Stable Diffusion 3: 3).");
        if (trainSteps < 1)
            throw new UsageException($"A flow with {trainSteps} train timesteps: at least 1 is needed (published models: 1000).");
        (Shift, TrainSteps) = (shift, trainSteps);
    }

    /// <summary>Resolution shift s.</summary>
    public double Shift { get; }

    /// <summary>
    /// Resolution-dependent shift, used in sampling instead of <see cref="Shift"/>; null for a constant shift.
    /// </summary>
    public DynamicShift? Dynamic { get; init; }

    /// <inheritdoc/>
    public override int TrainSteps { get; }

    /// <summary>Timestep shift used in sampling.</summary>
    /// <param name="tokens">Number of tokens of the image; used only with a <see cref="Dynamic"/> shift.</param>
    /// <exception cref="UsageException">The shift is dynamic and <paramref name="tokens"/> is null.</exception>
    public double ShiftFor(int? tokens) =>
        Dynamic is not { } dynamic
            ? Shift
            : dynamic.For(
                tokens
                    ?? throw new UsageException("This flow's shift depends on the image size (use_dynamic_shifting): sample with a size.")
            );

    /// <summary>Shifted time s·t/(1 + (s − 1)·t): maps [0, 1] to itself, towards 1 for s above 1 (Esser et al. 2024, eq. 23).</summary>
    public static double ShiftTime(double t, double shift) => shift * t / (1 + ((shift - 1) * t));

    /// <inheritdoc/>
    public override NoisePoint PointAt(double model)
    {
        if (!(model >= 0 && model <= TrainSteps))
            throw new ArgumentOutOfRangeException(nameof(model), model, $"A flow's time lies between 0 and {TrainSteps}.");
        var t = model / TrainSteps;
        return new(model, 1 - t, t);
    }

    /// <inheritdoc/>
    /// <remarks>t is clamped to at least 1/<see cref="TrainSteps"/>, the schedule's first step, so that no loss weight is
    /// infinite.</remarks>
    public override double[] TimesOf(double[] drawn) =>
        Array.ConvertAll(drawn, t => TrainSteps * ShiftTime(Math.Max(t, 1.0 / TrainSteps), Shift));

    /// <inheritdoc/>
    public override double TimeAt(double fraction) => TrainSteps * Math.Max(fraction, 1.0 / TrainSteps);

    /// <inheritdoc/>
    public override Tensor Target(NoisedLatent noisy)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        return noisy.Noise - noisy.Clean.Value;
    }

    /// <inheritdoc/>
    protected override (Tensor Z0, Tensor Noise) Read(Tensor noisy, NoiseLevel level, Tensor output)
    {
        ArgumentNullException.ThrowIfNull(level);
        return (noisy - (Broadcast(level.B) * output), noisy + (Broadcast(level.A) * output));
    }

    /// <inheritdoc/>
    /// <remarks>|∂ẑ0/∂v̂| = t, hence min(SNR, γ)·t² = min((1 − t)², γ·t²).</remarks>
    protected override Tensor MinSnrWeights(NoiseLevel level, double gamma)
    {
        ArgumentNullException.ThrowIfNull(level);
        return Ops.Minimum(level.A.Square(), level.B.Square() * gamma);
    }
}
