using Retouch.Autoencoders;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>Distances between latents in the decoder's feature space.</summary>
public static class DecoderFeatures
{
    /// <summary>
    /// Decoder-feature distance: squared distance of unit-normalised channel vectors, averaged over pixels, taps and samples. It has the
    /// form of LPIPS (Zhang et al. 2018, eq. 1) with all weights 1 and the autoencoder's own decoder as the network; the values are not
    /// comparable with LPIPS.
    /// </summary>
    /// <param name="autoencoder">Autoencoder; all taps of its decoder are used.</param>
    /// <param name="a">Latents [batch, channels, height, width].</param>
    /// <param name="b">Latents of the same shape.</param>
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
