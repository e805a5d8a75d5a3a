using System.Text.Json.Nodes;
using Retouch.Tests.Goldens;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training;

/// <summary>Default learning rate by kind of training, from configurations without weights.</summary>
public sealed class LearningRatesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("classes", "{}", 1e-4)]
    [InlineData("text", "{}", 1e-5)]
    [InlineData("text", """{ "lora": { "rank": 4 } }""", 1e-4)]
    [InlineData("text", """{ "lora": { "rank": 4 }, "objective": { "preference": {} } }""", 1e-5)]
    [InlineData("text", """{ "objective": { "preference": {} } }""", 1e-6)]
    [InlineData("text", """{ "optimiser": { "kind": "prodigy" } }""", 1)]
    [InlineData("text", """{ "optimiser": { "kind": "adafactor" } }""", 1e-5)]
    [InlineData("text", """{ "optimiser": { "kind": "adafactor", "adafactor": { "relativeStep": true } } }""", 1e-2)]
    [InlineData(null, "{}", 1e-4)]
    [InlineData("autoencoder", """{ "task": "autoencoder", "objective": null }""", 1e-5)]
    [InlineData(null, """{ "task": "autoencoder", "objective": null }""", 1e-4)]
    public void The_default_depends_on_what_is_trained(string? model, string set, double expected)
    {
        var json = new JsonObject { ["objective"] = new JsonObject { ["perceptual"] = new JsonObject() } };
        if (model is not null)
            json["model"] = new JsonObject { ["path"] = FolderOf(model) };
        foreach (var (path, value) in JsonNode.Parse(set)!.AsObject())
            OptionsFile.Set(json, path, value?.DeepClone());
        Assert.Equal(expected, LearningRates.Of(OptionsFile.Bind<TrainingOptions>(json, "test")), 1e-12);
    }

    private string FolderOf(string model)
    {
        if (model == "autoencoder")
            return TinyModel.AutoencoderFolder;
        if (model == "classes")
            return Path.Combine(GoldenCase.Root(), "..", "..", "demo", "model");
        using var golden = GoldenCase.Open("unet_sd15");
        _folder.Add("model_index.json", """{ "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"] }""");
        _folder.Add("unet/config.json", golden.ReadObject("config.json").ToJsonString());
        _folder.Add("scheduler/scheduler_config.json", """{ "_class_name": "DDIMScheduler" }""");
        _folder.Add("vae/config.json", File.ReadAllText(Path.Combine(TinyModel.AutoencoderFolder, "config.json")));
        return _folder.Path;
    }
}
