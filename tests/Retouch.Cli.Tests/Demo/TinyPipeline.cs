using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Denoisers.Dit;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Cli.Tests.Demo;

/// <summary>A tiny pipeline of random weights: 32 pixels, ten classes.</summary>
internal static class TinyPipeline
{
    public const int Size = 32;

    /// <summary>Saves the pipeline.</summary>
    /// <param name="folder">Output folder.</param>
    /// <param name="classes">Class names, at most ten; null for classes without names.</param>
    public static void Save(string folder, IReadOnlyList<string>? classes = null)
    {
        var autoencoder = new AutoencoderKl(
            AutoencoderKlConfig.FromJson(
                JsonNode
                    .Parse(
                        """
                        {
                          "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [8, 8, 8], "layers_per_block": 1,
                          "norm_num_groups": 4, "latent_channels": 4,
                          "in_channels": 3, "out_channels": 3, "sample_size": 32, "scaling_factor": 0.5,
                          "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
                          "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]
                        }
                        """
                    )!
                    .AsObject(),
                "test"
            )
        );
        var denoiser = new DiTTransformer2D(
            DiTConfig.FromJson(
                JsonNode
                    .Parse(
                        """
                        {
                          "_class_name": "DiTTransformer2DModel", "attention_head_dim": 8, "num_attention_heads": 2, "num_layers": 1,
                          "in_channels": 4, "out_channels": 4, "sample_size": 8,
                          "patch_size": 2, "num_embeds_ada_norm": 10, "norm_type": "ada_norm_zero", "norm_elementwise_affine": false,
                          "activation_fn": "gelu-approximate", "attention_bias": true
                        }
                        """
                    )!
                    .AsObject(),
                "test"
            )
        );
        Initialise(autoencoder.Parameters, 1);
        Initialise(denoiser.Parameters, 2);
        var scheduler = JsonNode
            .Parse(
                """
                { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
                "num_train_timesteps": 1000, "prediction_type": "v_prediction", "clip_sample": false, "set_alpha_to_one": false,
                "steps_offset": 1 }
                """
            )!
            .AsObject();
        using var pipeline = LatentDiffusionPipeline.Create(
            autoencoder,
            denoiser,
            scheduler,
            classes?.Index().ToDictionary(static c => c.Index, static c => c.Item)
        );
        pipeline.Save(folder);
    }

    private static void Initialise(ParameterStore store, ulong seed)
    {
        using var generator = Generator.Create(Device.Cpu, seed);
        store.Initialise(generator, Device.Cpu);
    }
}
