using Retouch.Autoencoders;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>Latents that an objective may want decoded.</summary>
public enum DecodeSource
{
    /// <summary>z0.</summary>
    Clean,

    /// <summary>ẑ0: carries gradient.</summary>
    Estimate,

    /// <summary>z_t.</summary>
    Noisy,

    /// <summary>a_t·z0 + b_t·ε̂: carries gradient.</summary>
    Remix,
}

/// <summary>A term of the loss.</summary>
public interface IObjective
{
    /// <summary>The name under which it is logged.</summary>
    string Name { get; }

    /// <summary>How the term is weighted.</summary>
    TermWeight Weight { get; }

    /// <summary>The part of the weight that acts at a step, in [0, 1]; at 0 the term is not computed.</summary>
    /// <param name="step">Optimiser steps done before it.</param>
    double Ramp(long step) => 1;
}

/// <summary>An objective on latents: no decoder is run for it.</summary>
public interface ILatentObjective : IObjective
{
    /// <summary>The loss of the batch: a scalar in the graph of the prediction.</summary>
    /// <param name="inputs">The step.</param>
    /// <param name="health">Takes figures that are worth logging.</param>
    Tensor Evaluate(ObjectiveInputs inputs, HealthLog health);
}

/// <summary>
/// An objective on what the decoder makes of latents. It says what it needs; <see cref="DecodePlan"/> decodes once for all objectives, in
/// micro-batches, and hands the results over.
/// </summary>
public interface IDecodedObjective : IObjective
{
    /// <summary>Which samples the term is about, where a batch has pairs; others are not decoded for it.</summary>
    SampleRole Role => SampleRole.Imitated;

    /// <summary>What has to be decoded for this batch.</summary>
    DecodeNeed Need(ObjectiveInputs inputs);

    /// <summary>The loss of each sample of a micro-batch: [samples], differentiable in <see cref="DecodedSamples.Estimate"/>.</summary>
    Tensor PerSample(DecodedSamples decoded, HealthLog health);

    /// <summary>By what the sum over the active samples is divided; 0 where none is active.</summary>
    /// <param name="inputs">The step.</param>
    /// <param name="role">Which samples the sum is over; of pairs, each counts once.</param>
    /// <param name="active">How many of them (of pairs: how many pairs) were decoded.</param>
    double Divisor(ObjectiveInputs inputs, SampleRole role, int active);

    /// <summary>From the samples' losses to that of the batch: a scalar in their graph. Here their sum over <see
    /// cref="Divisor"/>.</summary>
    /// <param name="inputs">The step.</param>
    /// <param name="losses">Of all samples of the batch.</param>
    /// <param name="health">Takes figures that are worth logging.</param>
    Tensor Reduce(ObjectiveInputs inputs, SampleLosses losses, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(losses);
        return losses.Values.Sum() / AtLeast(Divisor(inputs, Role, losses.ActiveCount));
    }

    /// <summary>A divisor that is not 0: without active samples the sum is 0 already.</summary>
    internal static double AtLeast(double divisor) => divisor > 0 ? divisor : 1;
}

/// <summary>What an objective needs decoded.</summary>
/// <param name="Active">One entry a sample: whether it takes part at all. Others are not decoded.</param>
/// <param name="Estimate">The latents that carry gradient: <see cref="DecodeSource.Estimate"/> or <see cref="DecodeSource.Remix"/>.</param>
/// <param name="Target">The latents that they are compared with, decoded without gradient; null where the target is no decoding.</param>
/// <param name="Taps">Taps of both, ascending.</param>
/// <param name="Rgb">Whether the image of both is wanted.</param>
public sealed record DecodeNeed(bool[] Active, DecodeSource Estimate, DecodeSource? Target, IReadOnlyList<int> Taps, bool Rgb)
{
    /// <summary>Whether the losses of the reference are wanted too: its own latents of the same source, against the same decoded
    /// target.</summary>
    public bool Reference { get; init; }
}

/// <summary>What each sample of the batch lost.</summary>
/// <param name="Values">[batch], 0 where a sample takes no part; in the graph of the latents.</param>
/// <param name="Reference">The reference's [batch], without gradient; null where it was not asked for.</param>
/// <param name="Active">Samples that take part.</param>
/// <param name="Samples">Samples of the batch that the term is about.</param>
public sealed record SampleLosses(Tensor Values, Tensor? Reference, IReadOnlyList<bool> Active, int Samples)
{
    /// <summary>How many take part.</summary>
    public int ActiveCount => Active.Count(static a => a);
}

/// <summary>A micro-batch, decoded as far as one objective asked.</summary>
/// <param name="Estimate">With gradient.</param>
/// <param name="Target">Without gradient; null where none was asked for.</param>
/// <param name="Images">The images of these samples, where the step has them.</param>
public sealed record DecodedSamples(DecodedTaps Estimate, DecodedTaps? Target, Tensor? Images);
