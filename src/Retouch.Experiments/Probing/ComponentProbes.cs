using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Conditioning.Clip;
using Retouch.Conditioning.T5;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.PixArt;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Torch;

namespace Retouch.Experiments.Probing;

/// <summary>Inputs and outputs of each type of network in a probe, under diffusers' names of arguments and results.</summary>
internal static class ComponentProbes
{
    /// <summary>Runs a network on the named inputs.</summary>
    /// <exception cref="InputException">Inputs are missing or have unsuitable shapes.</exception>
    public static void Run(object network, ProbeTensors tensors)
    {
        switch (network)
        {
            case KlAutoencoder autoencoder:
                Probe(autoencoder, tensors);
                break;
            case AutoencoderTiny autoencoder:
                Probe(autoencoder, tensors);
                break;
            case DiTTransformer2D denoiser:
                tensors.Output(
                    "sample",
                    denoiser.Forward(tensors.Leaf("sample"), tensors.Input("timestep"), tensors.Input("class_labels").To(DType.Int64))
                );
                break;
            case UNet2DCondition denoiser:
                Probe(denoiser, tensors);
                break;
            case ClipTextModel text:
                Probe(text, tensors);
                break;
            case ClipVisionModel vision:
                var seen = vision.Forward(tensors.Leaf("pixel_values"));
                tensors.Output("image_embeds", seen.ImageEmbeds);
                tensors.Output("last_hidden_state", seen.LastHiddenState);
                break;
            case T5Encoder text:
                tensors.Output("last_hidden_state", text.Forward(tensors.Input("input_ids")));
                if (tensors.Has("attention_mask"))
                    tensors.Output("last_hidden_state_masked", text.Forward(tensors.Input("input_ids"), tensors.Input("attention_mask")));
                break;
            case MmDitTransformer2D denoiser:
                tensors.Output(
                    "sample",
                    denoiser.Forward(tensors.Leaf("sample"), tensors.Input("timestep"), tensors.Input("class_labels").To(DType.Int64))
                );
                break;
            case PixArtTransformer2D denoiser:
                Probe(denoiser, tensors);
                break;
            case Sd3Transformer2D denoiser:
                tensors.Output(
                    "sample",
                    denoiser.Forward(
                        tensors.Leaf("sample"),
                        tensors.Input("timestep"),
                        tensors.Leaf("encoder_hidden_states"),
                        tensors.Leaf("pooled_projections")
                    )
                );
                break;
            default:
                throw new InputException($"{network.GetType().Name} cannot be probed.");
        }
    }

    /// <summary>Also evaluates an optional second picture of another size, <c>in.odd_sample</c>.</summary>
    private static void Probe(UNet2DCondition network, ProbeTensors tensors)
    {
        var condition = new Condition(tensors.Has("class_labels") ? tensors.Input("class_labels") : null)
        {
            Text = network.Config.TakesText ? tensors.Leaf("encoder_hidden_states") : null,
            TextMask = tensors.Has("encoder_attention_mask") ? tensors.Input("encoder_attention_mask") : null,
            Pooled = tensors.Has("text_embeds") ? tensors.Leaf("text_embeds") : null,
            TimeIds = tensors.Has("time_ids") ? tensors.Input("time_ids") : null,
        };
        // Classes given as vectors are called class_labels, too.
        if (network.Config.ClassEmbedType is "projection" or "identity")
            condition = condition with { Pooled = condition.ClassLabels, ClassLabels = null };
        var time = tensors.Input("timestep");
        foreach (var name in ((string[])["sample", "odd_sample"]).Where(n => n == "sample" || tensors.Has(n)))
            tensors.Output(name, network.Forward(tensors.Leaf(name), time, condition));
    }

    /// <summary>Mask, size (height and width in pixels, diffusers' <c>resolution</c>) and aspect ratio are optional.</summary>
    private static void Probe(PixArtTransformer2D network, ProbeTensors tensors)
    {
        var mask = tensors.Has("encoder_attention_mask") ? tensors.Input("encoder_attention_mask") : null;
        var size = tensors.Has("resolution") ? tensors.Input("resolution") : null;
        var ratio = tensors.Has("aspect_ratio") ? tensors.Input("aspect_ratio") : null;
        tensors.Output(
            "sample",
            network.Forward(tensors.Leaf("sample"), tensors.Input("timestep"), tensors.Leaf("encoder_hidden_states"), mask, size, ratio)
        );
    }

    /// <summary>
    /// Runs the encoder if an image is given, and the decoder if a latent is given (unscaled, as in diffusers' decode).
    /// </summary>
    private static void Probe(KlAutoencoder network, ProbeTensors tensors)
    {
        CheckInputs(tensors);
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
        {
            var latent = new Latent(network.Scale(tensors.Leaf("latent")));
            tensors.Output("decoded", network.Decode(latent));
            // After the plain decode, so that the intermediates are those without a mask.
            if (network is AsymmetricAutoencoderKl asymmetric && tensors.Has("mask"))
                tensors.Output("decoded_masked", asymmetric.Decode(latent, tensors.Input("image_for_mask"), tensors.Input("mask")));
        }
    }

    /// <summary>
    /// As for the full autoencoders, without sampling; <c>forward</c> is that of diffusers, which rounds latents to bytes.
    /// </summary>
    private static void Probe(AutoencoderTiny network, ProbeTensors tensors)
    {
        CheckInputs(tensors);
        if (tensors.Has("image"))
        {
            var latents = network.EncodeMoments(tensors.Leaf("image"));
            var stored = network.ToUnitRange(latents);
            tensors.Output("latents", latents);
            tensors.Output("scale_latents", stored);
            tensors.Output("unscale_latents", network.FromUnitRange(stored));
        }

        if (tensors.Has("latent"))
            tensors.Output("decoded", network.Decode(new Latent(network.Scale(tensors.Leaf("latent")))));
        if (tensors.Has("image"))
        {
            using var quiet = Autograd.NoGrad();
            var bytes = (network.ToUnitRange(network.EncodeMoments(tensors.Input("image"))) * 255).Round() / 255;
            tensors.Output("forward", network.Decode(new Latent(network.Scale(network.FromUnitRange(bytes)))));
        }
    }

    private static void CheckInputs(ProbeTensors tensors)
    {
        if (!tensors.Has("image") && !tensors.Has("latent"))
            throw new InputException("The probe of an autoencoder needs in.image, in.latent or both; the file has neither.");
    }

    /// <summary>Runs without the mask, and again with the mask if given.</summary>
    private static void Probe(ClipTextModel network, ProbeTensors tensors)
    {
        var output = network.Forward(tensors.Input("input_ids"));
        tensors.Output("last_hidden_state", output.LastHiddenState);
        tensors.Output(output.Projected is null ? "pooler_output" : "text_embeds", output.Projected ?? output.Pooled);
        if (tensors.Has("attention_mask"))
            tensors.Output(
                "last_hidden_state_masked",
                network.Forward(tensors.Input("input_ids"), tensors.Input("attention_mask")).LastHiddenState
            );
    }
}
