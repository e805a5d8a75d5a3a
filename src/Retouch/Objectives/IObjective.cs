using Retouch.Autoencoders;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>Latents that an objective can decode.</summary>
public enum DecodeSource
{
    /// <summary>Clean latent z0.</summary>
    Clean,

    /// <summary>x0 prediction ẑ0; carries gradient.</summary>
    Estimate,

    /// <summary>Noisy latent z_t.</summary>
    Noisy,

    /// <summary>Remix a_t·z0 + b_t·ε̂; carries gradient.</summary>
    Remix,
}

/// <summary>A term of the loss.</summary>
public interface IObjective
{
    /// <summary>Log name.</summary>
    string Name { get; }

    /// <summary>Weight of the term.</summary>
    TermWeight Weight { get; }

    /// <summary>Warm-up factor of the weight at a step, in [0, 1]; at 0 the term is not computed.</summary>
    /// <param name="step">Optimiser steps completed before this one.</param>
    double Ramp(long step) => 1;
}

/// <summary>An objective in latent space, without decoding.</summary>
public interface ILatentObjective : IObjective
{
    /// <summary>Loss of the batch: a scalar in the graph of the prediction.</summary>
    /// <param name="inputs">Inputs of the step.</param>
    /// <param name="health">Receives health metrics.</param>
    Tensor Evaluate(ObjectiveInputs inputs, HealthLog health);
}

/// <summary>
/// An objective on decoded latents. It states what it needs; <see cref="DecodePlan"/> decodes once for all objectives, in micro-batches,
/// and passes the results on.
/// </summary>
public interface IDecodedObjective : IObjective
{
    /// <summary>Samples that the term applies to in a batch with pairs; others are not decoded for it.</summary>
    SampleRole Role => SampleRole.Imitated;

    /// <summary>What to decode for this batch.</summary>
    DecodeNeed Need(ObjectiveInputs inputs);

    /// <summary>
    /// Loss of each sample of a micro-batch: [samples], differentiable with respect to <see cref="DecodedSamples.Estimate"/>.
    /// </summary>
    Tensor PerSample(DecodedSamples decoded, HealthLog health);

    /// <summary>Divisor of the sum over active samples; 0 without active samples.</summary>
    /// <param name="inputs">Inputs of the step.</param>
    /// <param name="role">Samples that the sum is over; a pair counts once.</param>
    /// <param name="active">Number of active samples (or pairs).</param>
    double Divisor(ObjectiveInputs inputs, SampleRole role, int active);

    /// <summary>
    /// Reduces per-sample losses to the loss of the batch: a scalar in their graph. By default their sum over <see cref="Divisor"/>.
    /// </summary>
    /// <param name="inputs">Inputs of the step.</param>
    /// <param name="losses">Losses of all samples of the batch.</param>
    /// <param name="health">Receives health metrics.</param>
    Tensor Reduce(ObjectiveInputs inputs, SampleLosses losses, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(losses);
        return losses.Values.Sum() / AtLeast(Divisor(inputs, Role, losses.ActiveCount));
    }

    /// <summary>A non-zero divisor: without active samples the sum is already 0.</summary>
    internal static double AtLeast(double divisor) => divisor > 0 ? divisor : 1;
}

/// <summary>What an objective needs to have decoded.</summary>
/// <param name="Active">One entry per sample: whether it takes part. Inactive samples are not decoded.</param>
/// <param name="Estimate">Latents with gradient: <see cref="DecodeSource.Estimate"/> or <see cref="DecodeSource.Remix"/>.</param>
/// <param name="Target">Target latents, decoded without gradient; null for a target that is not decoded.</param>
/// <param name="Taps">Taps of estimate and target, ascending.</param>
/// <param name="Rgb">Whether the decoded images are needed as well.</param>
public sealed record DecodeNeed(bool[] Active, DecodeSource Estimate, DecodeSource? Target, IReadOnlyList<int> Taps, bool Rgb)
{
    /// <summary>
    /// Whether the reference model's losses are needed as well: its latents of the same source, against the same decoded target.
    /// </summary>
    public bool Reference { get; init; }

    /// <summary>What the estimate takes from the clean latent before decoding.</summary>
    public TargetMix Mix { get; init; } = TargetMix.None;
}

/// <summary>Per-sample losses of a batch.</summary>
/// <param name="Values">[batch], 0 for inactive samples; in the graph of the latents.</param>
/// <param name="Reference">Losses of the reference model, [batch], without gradient; null if not requested.</param>
/// <param name="Active">Whether each sample takes part, [batch].</param>
/// <param name="Samples">Number of samples that the term applies to.</param>
public sealed record SampleLosses(Tensor Values, Tensor? Reference, IReadOnlyList<bool> Active, int Samples)
{
    /// <summary>Number of active samples.</summary>
    public int ActiveCount => Active.Count(static a => a);
}

/// <summary>A micro-batch, decoded up to the taps that one objective requested.</summary>
/// <param name="Estimate">Decoded estimate, with gradient.</param>
/// <param name="Target">Decoded target, without gradient, or null.</param>
/// <param name="Images">Images of these samples, [samples, 3, height, width] in [−1, 1]; null if the step has none.</param>
public sealed record DecodedSamples(DecodedTaps Estimate, DecodedTaps? Target, Tensor? Images)
{
    /// <summary>Weights of these samples' pixels in the loss; null if all are 1.</summary>
    public LossMask? Mask { get; init; }

    /// <summary>Windows of the pictures that all other members are parts of; null for whole pictures.</summary>
    public DecodeWindows? Windows { get; init; }
}
