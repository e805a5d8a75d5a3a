using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>
/// Says how a batch is made of pairs: the first <see cref="Count"/> samples are winners, the next as many their losers in the same order,
/// and what follows are single samples to be imitated.
/// </summary>
/// <param name="Count">Pairs, at least 1.</param>
public sealed record PairedSamples(int Count)
{
    /// <summary>
    /// The reference's prediction on the same noisy latents, read, without gradient; null where there is none (SimPO, or errors computed
    /// beforehand).
    /// </summary>
    public Denoised? Reference { get; init; }

    /// <summary>
    /// The reference's errors, computed beforehand for the same pictures, noise and times: for each space one of
    /// <see cref="PreferenceSpace.Latent"/>, <see cref="PreferenceSpace.Pixel"/> and <see cref="PreferenceSpace.Features"/> a tensor [2 ·
    /// pairs], winners first. Goes before <see cref="Reference"/>.
    /// </summary>
    public IReadOnlyDictionary<PreferenceSpace, Tensor>? ReferenceErrors { get; init; }
}

/// <summary>Which samples of a batch with pairs a term is about.</summary>
public enum SampleRole
{
    /// <summary>Those that are to be imitated: all but losers.</summary>
    Imitated,

    /// <summary>Winners and losers.</summary>
    Paired,
}
