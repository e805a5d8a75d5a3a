using Retouch.Diffusion;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>What the objectives of one step look at.</summary>
/// <param name="Formulation">How the noise was mixed in.</param>
/// <param name="Noisy">What the network saw.</param>
/// <param name="Estimate">Its output, read; gradient norms are compared at <see cref="Denoised.Raw"/>.</param>
/// <param name="Images">The images [batch, 3, height, width] in [−1, 1], for objectives that compare with them; null when they were not
/// loaded.</param>
public sealed record ObjectiveInputs(Formulation Formulation, NoisedLatent Noisy, Denoised Estimate, Tensor? Images = null)
{
    private Tensor? _remix;

    /// <summary>How the batch is made of pairs; null where all samples are single ones.</summary>
    public PairedSamples? Pairs { get; init; }

    /// <summary>
    /// The network's output minus its target, [batch, channels, height, width], in the graph of the output and in the scope that was open
    /// when this object was made.
    /// </summary>
    public Tensor Residual { get; } = Formulation.Residual(Noisy, Estimate.Raw);

    /// <summary>Which micro-batch of which step this is.</summary>
    public StepPosition Position { get; init; } = new(0, 0, 1);

    /// <summary>The noise levels of all micro-batches of the step, this one's among them; null where there is only one.</summary>
    public IReadOnlyList<NoiseLevel>? StepLevels { get; init; }

    /// <summary>Samples of the batch.</summary>
    public int Batch => checked((int)Noisy.Value.Shape[0]);

    /// <summary>a_t·z0 + b_t·ε̂ ([PIX] eq. 1): the noisy latent with the noise that the network sees in it, in the graph of the
    /// prediction.</summary>
    // Kept while its scope lives, so that all objectives of an evaluation share it.
    public Tensor Remix => _remix is { IsDisposed: false } ? _remix : _remix = Formulation.Remix(Noisy, Estimate);

    /// <summary>The samples that are to be imitated, out of [batch, …]: all but the losers of pairs.</summary>
    public Tensor Imitated(Tensor perSample)
    {
        ArgumentNullException.ThrowIfNull(perSample);
        if (Pairs is not { Count: var pairs })
            return perSample;
        var winners = perSample.Narrow(0, 0, pairs);
        return Batch == 2 * pairs ? winners : Ops.Cat([winners, perSample.Narrow(0, 2 * pairs, Batch - (2 * pairs))], 0);
    }

    /// <summary>Whether a term of this role is about a sample.</summary>
    /// <param name="role">The term's.</param>
    /// <param name="sample">0 to <see cref="Batch"/> − 1.</param>
    public bool Concerns(SampleRole role, int sample) =>
        role == SampleRole.Paired
            ? sample < 2 * (Pairs?.Count ?? 0)
            : Pairs is not { Count: var pairs } || sample < pairs || sample >= 2 * pairs;

    /// <summary>By how many a mean over all samples of a role divides: a pair counts once.</summary>
    public int DivisorOf(SampleRole role) => role == SampleRole.Paired ? Pairs?.Count ?? 0 : CountOf(role);

    /// <summary>How many samples a term of this role is about.</summary>
    public int CountOf(SampleRole role) => role == SampleRole.Paired ? 2 * (Pairs?.Count ?? 0) : Batch - (Pairs?.Count ?? 0);

    /// <summary>The reference's latents of a source, [batch, channels, height, width]; only sources that depend on a prediction.</summary>
    public Tensor ReferenceLatentsOf(DecodeSource source)
    {
        var reference = Pairs?.Reference ?? throw new InvalidOperationException("A term compares with a reference, but the step has none.");
        return source switch
        {
            DecodeSource.Estimate => reference.Z0.Value,
            DecodeSource.Remix => Formulation.Remix(Noisy, reference),
            _ => throw new ArgumentOutOfRangeException(nameof(source), source, "Does not depend on a prediction."),
        };
    }

    /// <summary>The latents of a source, [batch, channels, height, width].</summary>
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

/// <summary>Where in a run a batch is evaluated.</summary>
/// <param name="Step">Optimiser steps done before this one.</param>
/// <param name="Micro">Which micro-batch of the step, from 0.</param>
/// <param name="Of">How many micro-batches the step accumulates, at least 1.</param>
public readonly record struct StepPosition(long Step, int Micro, int Of)
{
    /// <summary>Whether the optimiser steps after this batch.</summary>
    public bool IsLast => Micro == Of - 1;
}
