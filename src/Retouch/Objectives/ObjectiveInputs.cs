using Retouch.Formulations;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>What the objectives of one step look at.</summary>
/// <param name="Formulation">How the noise was mixed in.</param>
/// <param name="Noisy">What the network saw.</param>
/// <param name="Prediction">What it put out; gradient norms are compared here.</param>
/// <param name="Estimate">The prediction, read.</param>
/// <param name="Images">The images [batch, 3, height, width] in [−1, 1], for objectives that compare with them; null when they were not loaded.</param>
public sealed record ObjectiveInputs(Formulation Formulation, NoisedLatent Noisy, Prediction Prediction, CleanEstimate Estimate, Tensor? Images = null)
{
    private Tensor? _remix;

    /// <summary>Samples of the batch.</summary>
    public int Batch => checked((int)Noisy.Value.Shape[0]);

    /// <summary>a_t·z0 + b_t·ε̂ ([PIX] eq. 1): the noisy latent with the noise that the network sees in it, in the graph of the prediction.</summary>
    // Kept while its scope lives, so that all objectives of an evaluation share it.
    public Tensor Remix => _remix is { IsDisposed: false } ? _remix : _remix = Formulation.Remix(Noisy, Estimate);

    /// <summary>The latents of a source, [batch, channels, height, width].</summary>
    public Tensor LatentsOf(DecodeSource source) => source switch
    {
        DecodeSource.Clean => Noisy.Clean.Value,
        DecodeSource.Estimate => Estimate.Z0.Value,
        DecodeSource.Noisy => Noisy.Value,
        DecodeSource.Remix => Remix,
        _ => throw new ArgumentOutOfRangeException(nameof(source), source, "Unknown source."),
    };
}
