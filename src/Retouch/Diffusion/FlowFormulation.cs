using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>
/// Rectified flow on the straight path of conditional optimal transport: a_t = 1 − t, b_t = t, the network predicts v = ε − z0; ẑ0 = z_t −
/// t·v̂ and ε̂ = z_t + (1 − t)·v̂, both finite on all of [0, 1].
/// </summary>
public sealed class FlowFormulation : Formulation
{
    /// <param name="density">Where training looks, before the shift; uniform where null.</param>
    /// <param name="shift">Moves all times towards noise: t' = s·t/(1 + (s − 1)·t) (Esser et al. 2024, eq. 23); 1 leaves them. SD3 uses
    /// 3.</param>
    /// <param name="trainSteps">What the network's time counts up to.</param>
    /// <exception cref="UsageException">The shift is not above 0, or there are no steps.</exception>
    public FlowFormulation(TimestepDensity? density = null, double shift = 1, int trainSteps = 1000)
    {
        if (!(shift > 0 && double.IsFinite(shift)))
            throw new UsageException($"A flow's shift is {shift}; it must be a number above 0 (1: none; Stable Diffusion 3: 3).");
        if (trainSteps < 1)
            throw new UsageException($"A flow's time counts up to {trainSteps}; it must be at least 1 (published models: 1000).");
        (Density, Shift, TrainSteps) = (density ?? TimestepDensity.Uniform, shift, trainSteps);
    }

    /// <summary>Where training looks, before the shift.</summary>
    public TimestepDensity Density { get; }

    /// <summary>s of the resolution shift.</summary>
    public double Shift { get; }

    /// <summary>
    /// The shift that sampling takes for pictures of a given size, instead of <see cref="Shift"/>; null where it is one for all.
    /// </summary>
    public DynamicShift? Dynamic { get; init; }

    /// <inheritdoc/>
    public override int TrainSteps { get; }

    /// <summary>The shift that sampling takes.</summary>
    /// <param name="tokens">Of the picture; looked at only where the shift depends on it.</param>
    /// <exception cref="UsageException">It depends on the size, and none is given.</exception>
    public double ShiftFor(int? tokens) =>
        Dynamic is not { } dynamic
            ? Shift
            : dynamic.For(
                tokens
                    ?? throw new UsageException(
                        "This flow's shift depends on the size of the pictures (use_dynamic_shifting): sample with a size."
                    )
            );

    /// <summary>s·t/(1 + (s − 1)·t): maps [0, 1] to itself, towards 1 for s above 1 (Esser et al. 2024, eq. 23).</summary>
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
    /// <remarks>Times below the schedule's first step, 1 of <see cref="TrainSteps"/>, are raised to it: no weight becomes
    /// infinite.</remarks>
    public override double[] SampleTimes(int batch, Generator generator) =>
        Array.ConvertAll(Density.Sample(batch, generator), t => TrainSteps * ShiftTime(Math.Max(t, 1.0 / TrainSteps), Shift));

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
    /// <remarks>ẑ0 moves by t for each unit of v̂, hence min(SNR, γ)·t² = min((1 − t)², γ·t²).</remarks>
    protected override Tensor MinSnrWeights(NoiseLevel level, double gamma)
    {
        ArgumentNullException.ThrowIfNull(level);
        return Ops.Minimum(level.A.Square(), level.B.Square() * gamma);
    }
}
