using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>The diagonal normal distribution that a KL encoder puts out, before scaling and shifting (Kingma and Welling 2014).</summary>
/// <param name="Mean">[batch, channels, height, width].</param>
/// <param name="LogVariance">Logarithm of the variance, same shape, clamped to [−30, 20] as diffusers does.</param>
public sealed record Posterior(Tensor Mean, Tensor LogVariance)
{
    /// <summary>Splits the encoder's output [batch, 2·channels, height, width] into mean and log-variance.</summary>
    public static Posterior FromMoments(Tensor moments)
    {
        var halves = moments.Chunk(2, 1);
        return new Posterior(halves[0], halves[1].Clamp(-30, 20));
    }

    /// <summary>mean + deviation·noise.</summary>
    /// <param name="noise">Standard normal, of the mean's shape.</param>
    public Tensor Sample(Tensor noise) => Mean + ((0.5 * LogVariance).Exp() * noise);

    /// <summary>KL divergence to the standard normal, summed over all elements of a sample: [batch].</summary>
    public Tensor Kl() => 0.5 * (Mean.Square() + LogVariance.Exp() - 1 - LogVariance).Sum([1L, 2, 3]);
}
