using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;

namespace Retouch.Tests.Pipelines;

/// <summary>Default sampling and training settings of published models, by their shapes, without weights.</summary>
public sealed class PipelineDefaultsTests
{
    private const string Ddpm = """{ "_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear" }""";
    private const string Flow = """{ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0 }""";

    // diffusers 0.40: the defaults of guidance_scale of each family's pipeline; for classes that of the paper on the latent perceptual
    // loss.
    [Theory]
    [InlineData("sd15_unet", Ddpm, 512, 7.5)]
    [InlineData("sd21_unet", Ddpm, 768, 7.5)]
    [InlineData("sdxl_unet", Ddpm, 1024, 5)]
    [InlineData("sd3_medium_transformer", Flow, 1024, 7)]
    [InlineData("pixart_alpha_xl_2_512", Ddpm, 512, 4.5)]
    [InlineData("dit_xl_2_256", Ddpm, 256, 1.5)]
    [InlineData("dit_xl_2_256", Ddpm, 512, 2)]
    [InlineData("dit_xl_2_256", Ddpm, 64, 1.5)]
    public void Default_guidance_is_that_of_the_family(string name, string scheduler, int size, double expected)
    {
        using var pipeline = Make(Manifest.Open(name).Config, scheduler);
        Assert.Equal(expected, pipeline.DefaultGuidance(size, size));
    }

    [Fact]
    public void Guidance_for_512_applies_to_similar_pixel_counts()
    {
        using var pipeline = Make(Manifest.Open("dit_xl_2_256").Config, Ddpm);
        Assert.Equal((1.5, 2), (pipeline.DefaultGuidance(640, 224), pipeline.DefaultGuidance(640, 256)));
    }

    [Fact]
    public void Unconditional_models_are_not_guided()
    {
        var config = Manifest.Open("sd15_unet").Config;
        foreach (var kind in (string[])["down_block_types", "up_block_types"])
            config[kind] = JsonNode.Parse(
                config[kind]!.ToJsonString().Replace("CrossAttnDownBlock2D", "DownBlock2D").Replace("CrossAttnUpBlock2D", "UpBlock2D")
            );
        config["mid_block_type"] = null;
        config["cross_attention_dim"] = null;
        using var pipeline = Make(config, Ddpm);
        if (pipeline.Denoiser is { TextWidth: null, ClassCount: null })
            Assert.Equal(1, pipeline.DefaultGuidance(512, 512));
    }

    [Theory]
    [InlineData("sd3_medium_transformer", Flow, TimestepDensityKind.Mode)]
    [InlineData("sd3_medium_transformer", Ddpm, TimestepDensityKind.Uniform)]
    [InlineData("dit_xl_2_256", Flow, TimestepDensityKind.Uniform)]
    [InlineData("sd15_unet", Ddpm, TimestepDensityKind.Uniform)]
    public void Flows_of_MM_DiTs_use_mode_sampling(string name, string scheduler, TimestepDensityKind expected)
    {
        using var pipeline = Make(Manifest.Open(name).Config, scheduler);
        Assert.Equal(expected, pipeline.DefaultDensity.Kind);
        if (expected == TimestepDensityKind.Mode)
            Assert.Equal(TimestepDensity.Mode(), pipeline.DefaultDensity);
    }

    [Fact]
    public void A_scaled_schedule_is_part_of_the_scheduler_configuration()
    {
        using var pipeline = Make(Manifest.Open("sd3_medium_transformer").Config, Flow);
        pipeline.ScaleSchedule(2);
        Assert.Equal(6, (double)pipeline.SchedulerConfig["shift"]!);
        using var ddpm = Make(Manifest.Open("sd15_unet").Config, Ddpm);
        var before = ddpm.CreateFormulation().PointAt(500).Sigma;
        ddpm.ScaleSchedule(2);
        Assert.Equal(
            ("DDIMScheduler", 1000),
            ((string?)ddpm.SchedulerConfig["_class_name"], ddpm.SchedulerConfig["trained_betas"]!.AsArray().Count)
        );
        Assert.Equal(2 * before, ddpm.CreateFormulation().PointAt(500).Sigma, 1e-3 * before);
    }

    private static LatentDiffusionPipeline Make(JsonObject config, string scheduler)
    {
        var denoiser = (IDenoiser)ComponentRegistry.Find(config, "config.json").Create(config, "config.json");
        var autoencoder = new AutoencoderKl(new AutoencoderKlConfig { LatentChannels = denoiser.LatentChannels });
        return LatentDiffusionPipeline.Create(autoencoder, denoiser, JsonNode.Parse(scheduler)!.AsObject());
    }
}
