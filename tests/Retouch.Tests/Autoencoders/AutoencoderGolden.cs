using Retouch.Autoencoders;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Autoencoders;

/// <summary>What every autoencoder is held to that has a golden.</summary>
internal static class AutoencoderGolden
{
    /// <summary>Checks every intermediate from now on that the case has.</summary>
    /// <returns>The names of those that came by.</returns>
    public static HashSet<string> Watch(GoldenCase golden, IAutoencoder network)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        network.Parameters.Observer = (path, tensor) =>
        {
            golden.Check($"mid.{path}", tensor);
            seen.Add(path);
        };
        return seen;
    }

    /// <summary>Figures of the posterior, and what is drawn from it.</summary>
    public static void CheckPosterior(GoldenCase golden, Posterior posterior, Func<Tensor, Tensor> scale)
    {
        golden.Check("out.mean", posterior.Mean);
        golden.Check("out.logvar", posterior.LogVariance);
        golden.Check("out.kl", posterior.Kl());
        var sample = posterior.Sample(golden.Read("in.posterior_noise"));
        golden.Check("out.sample", sample);
        golden.Check("out.scaled_latent", scale(sample));
    }

    /// <summary>The decoded latent, that every intermediate was seen, and the gradients of both halves.</summary>
    /// <param name="golden">The case.</param>
    /// <param name="network">With the case's weights, watched.</param>
    /// <param name="scale">From what the decoder takes to what the denoiser sees.</param>
    /// <param name="seen">What <see cref="Watch"/> returned.</param>
    /// <param name="image">The leaf that was encoded.</param>
    /// <param name="encoded">What came of it.</param>
    /// <param name="cotangent">Names the gradient at <paramref name="encoded"/>.</param>
    public static void CheckDecodingAndGradients(
        GoldenCase golden,
        IAutoencoder network,
        Func<Tensor, Tensor> scale,
        HashSet<string> seen,
        Tensor image,
        Tensor encoded,
        string cotangent
    )
    {
        var raw = golden.ReadLeaf("in.latent");
        var decoded = network.Decode(new Latent(scale(raw)));
        golden.Check("out.decoded", decoded);
        Assert.Equal(golden.Names("mid."), seen.Order(StringComparer.Ordinal));
        network.Parameters.Observer = null;

        Autograd.Backward((encoded * golden.Read(cotangent)).Sum() + (decoded * golden.Read("in.cot_decoded")).Sum());
        golden.Check("grad.image", image.Grad!);
        golden.Check("grad.latent", raw.Grad!);
        golden.CheckGradients(network.Parameters);
    }
}
