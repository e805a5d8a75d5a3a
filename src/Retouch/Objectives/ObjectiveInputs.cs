using Retouch.Diffusion;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>Inputs of the objectives in one step.</summary>
/// <param name="Formulation">The diffusion formulation.</param>
/// <param name="Noisy">Noisy latents, noise and noise levels.</param>
/// <param name="Estimate">Network output as x0 and noise predictions; gradient norms are compared at <see cref="Denoised.Raw"/>.</param>
/// <param name="Images">Images [batch, 3, height, width] in [−1, 1], for objectives that compare with them; null if not loaded.</param>
public sealed record ObjectiveInputs(Formulation Formulation, NoisedLatent Noisy, Denoised Estimate, Tensor? Images = null)
{
    private Tensor? _remix;

    /// <summary>Weights of the pixels in the loss; null if all are 1. Not with pairs.</summary>
    public LossMask? Mask { get; init; }

    /// <summary>Windows to decode, one per sample; null for whole latents.</summary>
    public DecodeWindows? Windows { get; init; }

    /// <summary>
    /// Number of prior samples, the last of the batch: only <see cref="PriorObjective"/> applies to them. 0 with pairs.
    /// </summary>
    public int Prior { get; init; }

    /// <summary>Pairs of the batch; null without pairs.</summary>
    public PairedSamples? Pairs { get; init; }

    /// <summary>
    /// Network output minus its target, [batch, channels, height, width], in the graph of the output and in the scope that was open at
    /// construction.
    /// </summary>
    public Tensor Residual { get; } = Formulation.Residual(Noisy, Estimate.Raw);

    /// <summary>Position of this batch: step and micro-batch.</summary>
    public StepPosition Position { get; init; } = new(0, 0, 1);

    /// <summary>Noise levels of all micro-batches of the step, including this one; null for a single micro-batch.</summary>
    public IReadOnlyList<NoiseLevel>? StepLevels { get; init; }

    /// <summary>Batch size.</summary>
    public int Batch => checked((int)Noisy.Value.Shape[0]);

    /// <summary>
    /// Remix a_t·z0 + b_t·ε̂ ([PIX] eq. 1): the clean latent with the predicted noise, in the graph of the prediction, [batch, channels,
    /// height, width].
    /// </summary>
    // Cached while its scope is open, so that all objectives of an evaluation share it.
    public Tensor Remix => _remix is { IsDisposed: false } ? _remix : _remix = Formulation.Remix(Noisy, Estimate);

    /// <summary>Samples to imitate, selected from [batch, …]: all but the losers of pairs and prior samples.</summary>
    public Tensor Imitated(Tensor perSample)
    {
        ArgumentNullException.ThrowIfNull(perSample);
        if (Pairs is not { Count: var pairs })
            return Prior == 0 ? perSample : perSample.Narrow(0, 0, Batch - Prior);
        var winners = perSample.Narrow(0, 0, pairs);
        return Batch == 2 * pairs ? winners : Ops.Cat([winners, perSample.Narrow(0, 2 * pairs, Batch - (2 * pairs))], 0);
    }

    /// <summary>Whether a term of this role applies to a sample.</summary>
    /// <param name="role">Role of the term.</param>
    /// <param name="sample">Index in the batch, 0 to <see cref="Batch"/> − 1.</param>
    public bool Concerns(SampleRole role, int sample) =>
        role == SampleRole.Paired ? sample < 2 * (Pairs?.Count ?? 0)
        : Pairs is { Count: var pairs } ? sample < pairs || sample >= 2 * pairs
        : sample < Batch - Prior;

    /// <summary>Divisor of a mean over all samples of a role: a pair counts once.</summary>
    public int DivisorOf(SampleRole role) => role == SampleRole.Paired ? Pairs?.Count ?? 0 : CountOf(role);

    /// <summary>Number of samples that a term of this role applies to.</summary>
    public int CountOf(SampleRole role) => role == SampleRole.Paired ? 2 * (Pairs?.Count ?? 0) : Batch - (Pairs?.Count ?? 0) - Prior;

    /// <summary>Latents to decode for a need, [batch, channels, height, width], in the graph of the prediction.</summary>
    public Tensor EstimateOf(DecodeNeed need)
    {
        ArgumentNullException.ThrowIfNull(need);
        return WithTarget(LatentsOf(need.Estimate), need);
    }

    /// <summary>The reference model's latents for a need, [batch, channels, height, width].</summary>
    public Tensor ReferenceEstimateOf(DecodeNeed need)
    {
        ArgumentNullException.ThrowIfNull(need);
        return WithTarget(ReferenceLatentsOf(need.Estimate), need);
    }

    private Tensor WithTarget(Tensor estimate, DecodeNeed need) => need.Mix.Apply(estimate, Noisy.Clean.Value, Mask);

    /// <summary>
    /// The reference model's latents of a source, [batch, channels, height, width]; only for sources that depend on a prediction.
    /// </summary>
    public Tensor ReferenceLatentsOf(DecodeSource source)
    {
        var reference = Pairs?.Reference ?? throw new InvalidOperationException("A term needs a reference model, but the step has none.");
        return source switch
        {
            DecodeSource.Estimate => reference.Z0.Value,
            DecodeSource.Remix => Formulation.Remix(Noisy, reference),
            _ => throw new ArgumentOutOfRangeException(nameof(source), source, "The source does not depend on a prediction."),
        };
    }

    /// <summary>Latents of a source, [batch, channels, height, width].</summary>
    public Tensor LatentsOf(DecodeSource source) =>
        source switch
        {
            DecodeSource.Clean => Noisy.Clean.Value,
            DecodeSource.Estimate => Estimate.Z0.Value,
            DecodeSource.Noisy => Noisy.Value,
            DecodeSource.Remix => Remix,
            _ => throw new ArgumentOutOfRangeException(nameof(source), source, "Unknown source."),
        };
}

/// <summary>Position of a batch within a run.</summary>
/// <param name="Step">Optimiser steps completed before this one.</param>
/// <param name="Micro">Index of the micro-batch in the step, from 0.</param>
/// <param name="Of">Micro-batches per step, at least 1.</param>
public readonly record struct StepPosition(long Step, int Micro, int Of)
{
    /// <summary>Whether this is the last micro-batch before the optimiser step.</summary>
    public bool IsLast => Micro == Of - 1;
}
