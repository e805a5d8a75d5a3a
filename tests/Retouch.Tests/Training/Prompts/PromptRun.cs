using System.Text.Json.Nodes;
using Retouch.Tests.Goldens;
using Retouch.Tests.Pipelines;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Prompts;

/// <summary>Short runs of a text-conditional denoiser from scratch.</summary>
internal static class PromptRun
{
    /// <summary>Options of a run on 9 procedural scenes of 16 pixels.</summary>
    /// <param name="text">Folder of the text encoder (<see cref="TextPipelineFolder"/>).</param>
    /// <param name="set">Other options, by path.</param>
    public static TrainingOptions Options(string text, JsonObject? set = null)
    {
        var json = JsonNode
            .Parse(
                """
                {
                  "task": "denoiser", "seed": 5, "steps": 6,
                  "model": { "scheduler": { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
                  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
                    "prediction_type": "epsilon" } },
                  "objective": { "perceptual": { "weight": 1 } },
                  "data": { "sceneCount": 9, "size": 16 }, "batch": { "size": 3 }, "averages": [ { "decay": 0.9 } ],
                  "samples": { "every": 3, "count": 2, "steps": 2, "guidance": 2 }, "checkpoints": { "every": 2 }
                }
                """
            )!
            .AsObject();
        json["model"]!["config"] = Network(TextPipelineFolder.Width);
        json["model"]!["autoencoder"] = TinyModel.AutoencoderFolder;
        json["model"]!["promptsFrom"] = text;
        foreach (var (path, value) in set ?? [])
            OptionsFile.Set(json, path, value?.DeepClone());
        return OptionsFile.Bind<TrainingOptions>(json, "test");
    }

    /// <summary>Configuration of a small U-Net.</summary>
    /// <param name="width">Width of the text embedding.</param>
    public static JsonObject Network(int width) =>
        JsonNode
            .Parse(
                $$"""
                { "_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 4, "out_channels": 4, "block_out_channels": [8,
                16], "layers_per_block": 1,
                  "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
                  "cross_attention_dim": {{width}},
                  "attention_head_dim": 2, "norm_num_groups": 4 }
                """
            )!
            .AsObject();
}
