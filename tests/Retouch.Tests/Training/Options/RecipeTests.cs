using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

/// <summary>The included recipes: validated as a whole, and run with a small model.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class RecipeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> All =>
        [.. Directory.GetFiles(Root, "*.json", SearchOption.AllDirectories).Select(static f => Path.GetRelativePath(Root, f)).Order()];

    private static string Root => Path.Combine(GoldenCase.Root(), "..", "..", "recipes");

    [Theory]
    [MemberData(nameof(All))]
    public void Each_binds_and_is_valid(string file)
    {
        var options = OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(Path.Combine(Root, file)), file);
        options.Validate();
        if (options.Model.Config is { } config)
            using (var network = (IDisposable)ComponentRegistry.Find(config, file).Create(config, file))
                Assert.IsAssignableFrom(options.Task == TrainingTaskKind.Denoiser ? typeof(IDenoiser) : typeof(IAutoencoder), network);
    }

    [Fact]
    public void The_schedule_scales_with_the_size()
    {
        var first = Small("1-at-256.json", 16);
        first["model"]!["autoencoder"] = TinyModel.AutoencoderFolder;
        foreach (
            var (name, value) in new Dictionary<string, int>
            {
                ["num_attention_heads"] = 2,
                ["attention_head_dim"] = 12,
                ["num_layers"] = 2,
                ["num_classes"] = 10,
                ["class_embedding_dim"] = 16,
                ["pos_embed_max_size"] = 8,
                ["sample_size"] = 8,
            }
        )
            first["model"]!["config"]![name] = value;
        Train(first, "first");
        var second = Small("2-at-512.json", 32);
        second["model"]!["path"] = Path.Combine(_folder["first"], "model-average-0.9999");
        second["times"]!["scheduleFrom"] = 16;
        Train(second, "second");

        using var before = LatentDiffusionPipeline.Load(Path.Combine(_folder["first"], "model"), Device.Cpu);
        using var after = LatentDiffusionPipeline.Load(Path.Combine(_folder["second"], "model"), Device.Cpu);
        Assert.Equal(1, ((FlowFormulation)before.CreateFormulation()).Shift);
        Assert.Equal(2, ((FlowFormulation)after.CreateFormulation()).Shift);
        Assert.Equal(TimestepDensityKind.Mode, after.DefaultDensity.Kind);
    }

    private static JsonObject Small(string file, int size)
    {
        var json = OptionsFile.Read(Path.Combine(Root, "256-then-512", file));
        foreach (
            var (path, value) in new Dictionary<string, JsonNode?>
            {
                ["steps"] = 2,
                ["device"] = "cpu",
                ["precision"] = "float32",
                ["data.folder"] = null,
                ["data.crop"] = "center",
                ["data.sceneCount"] = 7,
                ["data.size"] = size,
                ["batch.size"] = 2,
                ["batch.accumulate"] = 1,
                ["checkpoints.every"] = 0,
            }
        )
            OptionsFile.Set(json, path, value);
        return json;
    }

    private void Train(JsonObject json, string name)
    {
        using var run = TrainingRun.Start(OptionsFile.Bind<TrainingOptions>(json, name), _folder[name], TimeProvider.System);
        Assert.True(double.IsFinite(run.Train(new ProgressProbe(), CancellationToken.None).LastLoss));
    }
}
