using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>Diagonal normal posterior of a KL encoder, before scaling and shifting (Kingma and Welling 2014).</summary>
/// <param name="Mean">Mean [batch, channels, height, width].</param>
/// <param name="LogVariance">Log-variance, same shape, clamped to [−30, 20] as in diffusers.</param>
public sealed record Posterior(Tensor Mean, Tensor LogVariance)
{
    /// <summary>Splits encoder output [batch, 2·channels, height, width] into mean and log-variance.</summary>
    public static Posterior FromMoments(Tensor moments)
    {
        var halves = moments.Chunk(2, 1);
        return new Posterior(halves[0], halves[1].Clamp(-30, 20));
    }

    /// <summary>Reparametrised sample: mean + deviation·noise.</summary>
    /// <param name="noise">Standard normal noise, same shape as the mean.</param>
    public Tensor Sample(Tensor noise) => Mean + ((0.5 * LogVariance).Exp() * noise);

    /// <summary>KL divergence to the standard normal distribution, summed over the elements of each sample: [batch].</summary>
    public Tensor Kl() => 0.5 * (Mean.Square() + LogVariance.Exp() - 1 - LogVariance).Sum([1L, 2, 3]);
}
