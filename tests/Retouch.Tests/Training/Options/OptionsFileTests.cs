using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Objectives.Autoencoder;
using Retouch.Tests.Training.Telemetry;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

public sealed class OptionsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static TrainingOptions Bind(string json) => OptionsFile.Bind<TrainingOptions>(JsonNode.Parse(json)!.AsObject(), "test.json");

    private static string Problems(string json) => Assert.Throws<UsageException>(() => Bind(json).Validate()).Message;

    [Fact]
    public void Unknown_options_are_named_with_suggestions()
    {
        var message = Problems(
            """
            { "stesp": 3, "objective": { "perceptual": { "treshold": 3 } }, "averages": [ {}, { "dekay": 0.9 } ],
            "model": { "config": { "any": 1 } }, "data": { "quux": 1 } }
            """
        );
        Assert.Contains("test.json: unknown option 'stesp'. Did you mean 'steps'?", message);
        Assert.Contains("unknown option 'objective.perceptual.treshold'. Did you mean 'threshold'?", message);
        Assert.Contains("unknown option 'averages[1].dekay'. Did you mean 'decay'?", message);
        Assert.Contains("unknown option 'data.quux'. Known here: folder, ", message);
        Assert.DoesNotContain("any", message);
        Assert.Contains("--schema", message);
    }

    [Fact]
    public void Computed_members_are_not_options() =>
        Assert.Contains("'objective.needsDecoder'", Problems("""{ "objective": { "needsDecoder": true } }"""));

    [Theory]
    [InlineData("""{ "steps": "many" }""", "steps")]
    [InlineData("""{ "data": { "size": 1.5 } }""", "data.size")]
    [InlineData("""{ "data": { "crop": "middle" } }""", "data.crop")]
    [InlineData("""{ "model": null }""", "model")]
    public void A_value_of_another_type_is_named_by_its_path(string json, string path) =>
        Assert.StartsWith($"test.json: {path} is ", Problems(json));

    [Fact]
    public void Comments_and_trailing_commas_are_allowed_but_not_duplicates()
    {
        File.WriteAllText(_folder["a.json"], "{ // one\n \"steps\": 7, /* two */ \"seed\": 3, }");
        var options = OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(_folder["a.json"]), "a.json");
        Assert.Equal((7, 3UL), (options.Steps, options.Seed));
        File.WriteAllText(_folder["b.json"], """{ "steps": 7, "steps": 8 }""");
        Assert.Contains("steps", Assert.Throws<UsageException>(() => OptionsFile.Read(_folder["b.json"])).Message);
        File.WriteAllText(_folder["c.json"], "[1]");
        Assert.Contains("is not a JSON object", Assert.Throws<UsageException>(() => OptionsFile.Read(_folder["c.json"])).Message);
        Assert.Contains("d.json", Assert.Throws<InputException>(() => OptionsFile.Read(_folder["d.json"])).Message);
    }

    [Fact]
    public void All_problems_are_reported_at_once()
    {
        var message = Problems(
            """
            { "steps": 0, "precision": "int8", "batch": { "size": 0 }, "device": "abacus", "optimiser": { "clipNorm": "NaN" },
            "data": { "flip": 2 } }
            """
        );
        foreach (
            var part in new[]
            {
                "steps is 0",
                "precision is 'int8'",
                "batch.size is 0",
                "device: ",
                "clipNorm is NaN",
                "data.flip is 2",
                "model: give either",
                "objective is missing",
                "(8 problems)",
            }
        )
            Assert.Contains(part, message);
    }

    [Theory]
    [InlineData("data.sceneCount", "5", "data.folder", "\"x\"")]
    [InlineData("data.allowEnlarging", "true")]
    [InlineData("data.crop", "\"random\"")]
    [InlineData("data.maxBadShare", "0.5")]
    [InlineData("optimiser.schedule.power", "2")]
    [InlineData("times.logitMean", "1")]
    [InlineData("times.modeScale", "1")]
    [InlineData("averages", """[{ "power": 0.5 }]""")]
    [InlineData("autoencoderLoss", "{}")]
    [InlineData("objective.minSnrGamma", "5")]
    [InlineData("objective.decodeBatch", "2")]
    [InlineData("model.autoencoder", "\"elsewhere\"")]
    public void Ineffective_options_are_errors(params string[] pathsAndValues)
    {
        var json = JsonNode.Parse("""{ "model": { "path": "somewhere" }, "objective": {} }""")!.AsObject();
        OptionsFile.Bind<TrainingOptions>(json, "test").Validate();
        for (var k = 0; k < pathsAndValues.Length; k += 2)
            OptionsFile.Set(json, pathsAndValues[k], JsonNode.Parse(pathsAndValues[k + 1]));
        Assert.Contains(
            "no effect",
            Assert.Throws<UsageException>(() => OptionsFile.Bind<TrainingOptions>(json, "test").Validate()).Message
        );
    }

    [Theory]
    [InlineData("times.density", "\"mode\"")]
    [InlineData("conditioning.dropout", "0.2")]
    [InlineData("samples.guidance", "2")]
    [InlineData("model.checkpointActivations", "true")]
    [InlineData("model.scheduler", "{}")]
    [InlineData("objective", "{}")]
    public void Ineffective_options_of_an_autoencoder_are_errors(string path, string value)
    {
        var json = JsonNode.Parse("""{ "task": "autoencoder", "model": { "path": "somewhere" } }""")!.AsObject();
        OptionsFile.Bind<TrainingOptions>(json, "test").Validate();
        OptionsFile.Set(json, path, JsonNode.Parse(value));
        Assert.Contains(
            "no effect",
            Assert.Throws<UsageException>(() => OptionsFile.Bind<TrainingOptions>(json, "test").Validate()).Message
        );
    }

    [Fact]
    public void Resolved_options_survive_a_round_trip()
    {
        var options = TinyRun.Denoiser().Resolve();
        var text = OptionsFile.Write(options);
        var again = OptionsFile.Bind<TrainingOptions>(JsonNode.Parse(text)!.AsObject(), "again");
        again.Validate();
        Assert.Equal(text, OptionsFile.Write(again));
        Assert.Equal(text, OptionsFile.Write(again.Resolve()));
        Assert.Equal((11, 0UL), (again.Data.SceneCount, again.Data.SceneSeed));
        Assert.True(Path.IsPathFullyQualified(again.Model.Autoencoder!));
        var autoencoder = Bind("""{ "task": "autoencoder", "model": { "path": "somewhere" }, "data": { "size": 64 } }""").Resolve();
        Assert.Equal(new AutoencoderLossOptions(), autoencoder.AutoencoderLoss);
        Assert.Equal(4000, autoencoder.Data.SceneCount);
        // A run keeps the loss that it began with when a later version has other defaults.
        var perceptual = TinyRun.Denoiser("""{ "perceptual": {} }""").Resolve().Objective!.Perceptual!;
        Assert.Equal((1, 0.2), (perceptual.TargetFrequencies, perceptual.ErrorScale));
    }

    [Fact]
    public void Single_values_override_the_file()
    {
        var json = new JsonObject { ["averages"] = new JsonArray() };
        OptionsFile.Set(json, "data.folder", "pictures");
        OptionsFile.Set(json, "optimiser.clipNorm", "null");
        OptionsFile.Set(json, "objective.perceptual.weight", "2.5");
        var options = OptionsFile.Bind<TrainingOptions>(json, "test");
        Assert.Equal(
            ("pictures", null, 2.5),
            (options.Data.Folder, options.Optimiser.ClipNorm, options.Objective!.Perceptual!.Weight.Fixed)
        );
        Assert.Contains(
            "Set lists as a whole",
            Assert.Throws<UsageException>(() => OptionsFile.Set(json, "averages.0.decay", "0.9")).Message
        );
    }

    [Fact]
    public void The_schema_describes_every_option()
    {
        var options = 0;
        void Walk(JsonNode? node, string path)
        {
            if (node is not JsonObject schema)
                return;
            foreach (var (name, property) in schema["properties"] as JsonObject ?? [])
            {
                options++;
                Assert.True(
                    property is JsonObject o && o["description"]?.GetValue<string>().Length > 5,
                    $"{path}{name} has no description"
                );
                Walk(property, $"{path}{name}.");
            }

            Walk(schema["items"], path);
        }

        var root = OptionsFile.Schema<TrainingOptions>();
        Walk(root, "");
        Assert.True(options > 60, $"{options} options");
        Assert.NotNull(root["properties"]!["objective"]!["properties"]!["perceptual"]!["properties"]!["threshold"]);
        Assert.False((bool)root["additionalProperties"]!);
    }

    [Fact]
    public void The_schema_contains_defaults()
    {
        var root = OptionsFile.Schema<TrainingOptions>()["properties"]!;
        var options = new TrainingOptions { Task = TrainingTaskKind.Denoiser, Steps = 1 };
        Assert.Equal(options.Seed, (ulong)root["seed"]!["default"]!);
        Assert.Equal("auto", (string)root["device"]!["default"]!);
        Assert.Equal(options.Batch.Size, (int)root["batch"]!["properties"]!["size"]!["default"]!);
        Assert.Equal(options.Optimiser.ClipNorm, (double)root["optimiser"]!["properties"]!["clipNorm"]!["default"]!);
        var perceptual = root["objective"]!["properties"]!["perceptual"]!["properties"]!;
        Assert.Equal("""{"gradientRatio":2}""", perceptual["weight"]!["default"]!.ToJsonString());
        Assert.Equal("inverse", (string)perceptual["depthWeighting"]!["default"]!);
        // No default: null means the model's own size.
        Assert.Null(root["data"]!["properties"]!["size"]!["default"]);
    }
}
