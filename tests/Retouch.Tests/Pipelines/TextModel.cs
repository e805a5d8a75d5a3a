using System.Text.Json.Nodes;
using Retouch.Denoisers.UNet;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Pipelines;

/// <summary>A small text-conditional pipeline of random weights for pictures of 16 pixels.</summary>
internal static class TextModel
{
    /// <summary>Writes the pipeline.</summary>
    /// <param name="folder">Output folder, new.</param>
    public static void Write(string folder)
    {
        var text = folder + "-text";
        TextPipelineFolder.Write(text);
        var config = JsonNode
            .Parse(
                $$"""
                { "_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 4, "out_channels": 4, "block_out_channels": [8,
                16], "layers_per_block": 1, "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
                  "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "cross_attention_dim": {{TextPipelineFolder.Width}},
                  "attention_head_dim": 2, "norm_num_groups": 4 }
                """
            )!
            .AsObject();
        var scheduler = JsonNode.Parse("""{ "_class_name": "DDIMScheduler", "prediction_type": "epsilon" }""")!.AsObject();
        using var generator = Generator.Create(Device.Cpu, 1);
        var network = new UNet2DCondition(UNet2DConditionConfig.FromJson(config, "test"));
        network.Parameters.Initialise(generator, Device.Cpu);
        using var model = LatentDiffusionPipeline.Create(TinyModel.Autoencoder(), network, scheduler, promptsFrom: text);
        model.Save(folder);
    }
}
