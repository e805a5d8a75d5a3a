using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>
/// Layout of a batch with pairs: the first <see cref="Count"/> samples are winners, the next <see cref="Count"/> their losers in the same
/// order, the rest are single samples to imitate.
/// </summary>
/// <param name="Count">Pairs, at least 1.</param>
public sealed record PairedSamples(int Count)
{
    /// <summary>
    /// Reference model's prediction on the same noisy latents, without gradient; null without one (SimPO, or precomputed errors).
    /// </summary>
    public Denoised? Reference { get; init; }

    /// <summary>
    /// Precomputed errors of the reference model for the same images, noise and timesteps: for each of the spaces
    /// <see cref="PreferenceSpace.Latent"/>, <see cref="PreferenceSpace.Pixel"/> and <see cref="PreferenceSpace.Features"/> a tensor [2 ·
    /// pairs], winners first. Takes precedence over <see cref="Reference"/>.
    /// </summary>
    public IReadOnlyDictionary<PreferenceSpace, Tensor>? ReferenceErrors { get; init; }
}

/// <summary>Samples of a batch with pairs that a term applies to.</summary>
public enum SampleRole
{
    /// <summary>Samples to imitate: all but losers.</summary>
    Imitated,

    /// <summary>Winners and losers.</summary>
    Paired,
}
