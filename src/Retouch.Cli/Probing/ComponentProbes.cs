using Retouch.Autoencoders;
using Retouch.Denoisers.Dit;
using Retouch.Torch;
using Retouch.Torch.Errors;

namespace Retouch.Cli.Probing;

/// <summary>What each kind of network takes and puts out when it is probed, with diffusers' names of arguments and results.</summary>
internal static class ComponentProbes
{
    /// <summary>Runs a network on the named inputs.</summary>
    /// <exception cref="InputException">Inputs are missing or do not fit.</exception>
    public static void Run(object network, ProbeTensors tensors)
    {
        switch (network)
        {
            case AutoencoderKl autoencoder:
                Probe(autoencoder, tensors);
                break;
            case DiTTransformer2D denoiser:
                tensors.Output("sample", denoiser.Forward(tensors.Leaf("sample"), tensors.Input("timestep"), tensors.Input("class_labels").To(DType.Int64)));
                break;
            default:
                throw new InputException($"Networks of the kind {network.GetType().Name} cannot be probed.");
        }
    }

    /// <summary>The encoder runs where there is an image, the decoder where there is a latent (unscaled, as diffusers' decode takes it).</summary>
    private static void Probe(AutoencoderKl network, ProbeTensors tensors)
    {
        if (!tensors.Has("image") && !tensors.Has("latent"))
            throw new InputException("An autoencoder is probed with in.image, in.latent or both; the file has neither.");
        if (tensors.Has("image"))
        {
            var moments = network.EncodeMoments(tensors.Leaf("image"));
            var posterior = Posterior.FromMoments(moments);
            tensors.Output("moments", moments);
            tensors.Output("mean", posterior.Mean);
            tensors.Output("logvar", posterior.LogVariance);
            tensors.Output("kl", posterior.Kl());
            if (tensors.Has("posterior_noise"))
            {
                var sample = posterior.Sample(tensors.Input("posterior_noise"));
                tensors.Output("sample", sample);
                tensors.Output("scaled_latent", network.Scale(sample));
            }
        }

        if (tensors.Has("latent"))
            tensors.Output("decoded", network.Decode(new Latent(network.Scale(tensors.Leaf("latent")))));
    }
}
