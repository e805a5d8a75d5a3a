using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Tests.Goldens;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training;

public class NativeSizeTests
{
    private static TrainingOptions Bind(string json) => OptionsFile.Bind<TrainingOptions>(JsonNode.Parse(json)!.AsObject(), "test");

    [Fact]
    public void A_pipeline_has_the_size_of_its_denoiser_times_the_downsampling()
    {
        // sample_size 16 and an autoencoder with two downsamplings.
        var model = Path.Combine(GoldenCase.Root(), "..", "..", "demo", "model");
        var options = Bind($$"""{ "task": "denoiser", "model": { "path": "{{model}}" }, "objective": {} }""");
        Assert.Equal(64, NativeSize.Of(options));
        Assert.Equal(64, options.Resolve().Data.Side);
        Assert.Equal(32, (options with { Data = new DataOptions { Size = 32 } }).Resolve().Data.Side);
    }

    [Fact]
    public void A_denoiser_from_scratch_has_the_size_of_its_configuration()
    {
        using var golden = GoldenCase.Open("training_dit_lpl");
        var options = TinyRun.Denoiser() with { Data = new DataOptions() };
        var expected = 4 * Downsampling(golden.ReadObject("autoencoder/config.json"));
        Assert.Equal(expected, options.Resolve().Data.Side);
    }

    [Fact]
    public void An_autoencoder_has_the_sample_size_of_its_configuration()
    {
        var model = Path.Combine(GoldenCase.Root(), "..", "..", "demo", "model", "vae");
        Assert.Equal(64, NativeSize.Of(Bind($$"""{ "task": "autoencoder", "model": { "path": "{{model}}" } }""")));
        Assert.Equal(48, NativeSize.Of(Bind("""{ "task": "autoencoder", "model": { "config": { "sample_size": 48 } } }""")));
        var problem = Assert.Throws<UsageException>(() =>
            NativeSize.Of(Bind("""{ "task": "autoencoder", "model": { "config": { "latent_channels": 4 } } }"""))
        );
        Assert.Contains("--size", problem.Message);
    }

    private static int Downsampling(JsonObject config) => 1 << (config["down_block_types"]!.AsArray().Count - 1);
}
