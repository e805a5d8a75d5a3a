using Retouch.Autoencoders;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Autoencoders;

/// <summary>Checks common to all autoencoders with a golden.</summary>
internal static class AutoencoderGolden
{
    /// <summary>Checks all intermediates of the case from now on.</summary>
    /// <returns>Names of the checked intermediates.</returns>
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

    /// <summary>Checks statistics and samples of the posterior.</summary>
    public static void CheckPosterior(GoldenCase golden, Posterior posterior, Func<Tensor, Tensor> scale)
    {
        golden.Check("out.mean", posterior.Mean);
        golden.Check("out.logvar", posterior.LogVariance);
        golden.Check("out.kl", posterior.Kl());
        var sample = posterior.Sample(golden.Read("in.posterior_noise"));
        golden.Check("out.sample", sample);
        golden.Check("out.scaled_latent", scale(sample));
    }

    /// <summary>Checks the decoded latent, the completeness of intermediates, and the gradients of both halves.</summary>
    /// <param name="golden">Case.</param>
    /// <param name="network">Network with the case's weights, observed.</param>
    /// <param name="scale">Scale from the decoder's input to the denoiser's.</param>
    /// <param name="seen">Result of <see cref="Watch"/>.</param>
    /// <param name="image">Leaf that was encoded.</param>
    /// <param name="encoded">Encoded result.</param>
    /// <param name="cotangent">Name of the gradient at <paramref name="encoded"/>.</param>
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
