using Retouch.Autoencoders;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>Distances between latents as the decoder sees them.</summary>
public static class DecoderFeatures
{
    /// <summary>
    /// The decoder-feature distance: squared distance of the features' channel vectors, each divided by its own length, averaged over
    /// pixels, taps and samples. It has the form of LPIPS
    /// (Zhang et al. 2018, eq. 1) with all weights 1 and the autoencoder's own decoder as the network; its numbers are not LPIPS's.
    /// </summary>
    /// <param name="autoencoder">Autoencoder; all taps of its decoder are used.</param>
    /// <param name="a">Latents.</param>
    /// <param name="b">As many, of the same shape.</param>
    public static double Distance(IAutoencoder autoencoder, Latent a, Latent b)
    {
        ArgumentNullException.ThrowIfNull(autoencoder);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var request = new TapRequest([.. Enumerable.Range(0, autoencoder.Taps.Count)]);
        var (first, second) = (autoencoder.DecodeWithTaps(a, request), autoencoder.DecodeWithTaps(b, request));
        var settings = new FeatureSettings(
            Normalisation.ChannelNorm,
            StatisticsSource.Own,
            Through: 1,
            Floor: 0,
            FeatureDifference.Squared,
            Mask: null,
            Kept: false
        );
        return first
            .Features.Zip(
                second.Features,
                (x, y) => FeatureLoss.Compare(x.To(DType.Float32), y.To(DType.Float32), settings).Loss.Sum([1L]).Mean().Item()
            )
            .Average();
    }
}
