using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Denoisers.UNet;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Pipelines;
using Retouch.Torch;

namespace Retouch.Cli.Tests.Demo;

/// <summary>A tiny text-conditional pipeline of random weights.</summary>
internal static class TinyTextPipeline
{
    /// <summary>Writes the pipeline.</summary>
    /// <param name="folder">Output folder, new.</param>
    /// <param name="parts">Folder of its parts, created if missing: <c>classes</c>, a <see cref="TinyPipeline"/>, and <c>text</c>, an
    /// encoder.</param>
    /// <param name="seed">Seed of the denoiser's weights.</param>
    public static void Save(string folder, string parts, ulong seed = 3)
    {
        string PathOf(string name) => Path.Combine(parts, name);
        if (!Directory.Exists(PathOf("text")))
        {
            TinyPipeline.Save(PathOf("classes"));
            TextPipelineFolder.Write(PathOf("text"));
        }

        var autoencoder = (IAutoencoder)ComponentFolder.Load(PathOf("classes/vae"), Device.Cpu).Network;
        var denoiser = new UNet2DCondition(
            UNet2DConditionConfig.FromJson(
                JsonNode
                    .Parse(
                        $$"""
                        { "_class_name": "UNet2DConditionModel", "sample_size": 8, "in_channels": 4, "out_channels": 4,
                        "block_out_channels": [8, 8], "layers_per_block": 1,
                          "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D",
                          "CrossAttnUpBlock2D"],
                          "cross_attention_dim": {{TextPipelineFolder.Width}}, "attention_head_dim": 2, "norm_num_groups": 4 }
                        """
                    )!
                    .AsObject(),
                "test"
            )
        );
        using (var generator = Generator.Create(Device.Cpu, seed))
            denoiser.Parameters.Initialise(generator, Device.Cpu);
        var scheduler = JsonNode.Parse(File.ReadAllText(PathOf("classes/scheduler/scheduler_config.json")))!.AsObject();
        using var pipeline = LatentDiffusionPipeline.Create(autoencoder, denoiser, scheduler, promptsFrom: PathOf("text"));
        pipeline.Save(folder);
    }
}
