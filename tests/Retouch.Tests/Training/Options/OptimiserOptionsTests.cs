using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Denoisers.Dit;
using Retouch.Tests.Denoisers;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

/// <summary>Names of optimisers, settings without effect, and sizes from shapes.</summary>
public sealed class OptimiserOptionsTests
{
    [Theory]
    [InlineData("adamw", OptimiserKind.Adamw)]
    [InlineData("AdamW8bit", OptimiserKind.Adamw8bit)]
    [InlineData("Adafactor", OptimiserKind.Adafactor)]
    [InlineData("Prodigy", OptimiserKind.Prodigy)]
    [InlineData("schedule-free", OptimiserKind.ScheduleFree)]
    [InlineData("muon", OptimiserKind.Muon)]
    public void Kinds_are_named_as_in_other_trainers_in_any_case(string name, OptimiserKind kind)
    {
        var options = Bind($$"""{ "optimizer": { "kind": "{{name}}" } }""");
        Assert.Equal(kind, options.Optimiser.Kind);
        options.Validate();
        Assert.Contains($"\"kind\": \"{OptionValue.Of(kind)}\"", OptionsFile.Write(options), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "eightBit": {} }""", "optimiser.eightBit has no effect unless kind is adamw8bit")]
    [InlineData("""{ "kind": "muon", "adafactor": {} }""", "optimiser.adafactor has no effect unless kind is adafactor")]
    [InlineData("""{ "prodigy": {} }""", "optimiser.prodigy has no effect unless kind is prodigy")]
    [InlineData("""{ "muon": {} }""", "optimiser.muon has no effect unless kind is muon")]
    [InlineData("""{ "kind": "adafactor", "adamW": { "beta1": 0.8 } }""", "optimiser.adamW has no effect with kind adafactor")]
    [InlineData(
        """{ "kind": "adafactor", "adafactor": { "smallestScale": 0.1 } }""",
        "optimiser.adafactor.smallestScale has no effect without relativeStep"
    )]
    [InlineData(
        """{ "kind": "schedule-free", "schedule": { "shape": "cosine" } }""",
        "optimiser.schedule.shape must be constant with kind schedule-free"
    )]
    [InlineData(
        """{ "kind": "schedule-free", "adamW": { "beta1": 0 } }""",
        "optimiser.adamW.beta1 must be above 0 with kind schedule-free"
    )]
    [InlineData("""{ "kind": "adamw8bit", "eightBit": { "block": 8 } }""", "optimiser.eightBit.block is 8; it must lie in [16, 65536]")]
    [InlineData("""{ "kind": "prodigy", "prodigy": { "growth": 1 } }""", "optimiser.prodigy.growth is 1; it must be above 1")]
    [InlineData("""{ "kind": "muon", "muon": { "iterations": 0 } }""", "optimiser.muon.iterations is 0; it must lie in [1, 20]")]
    [InlineData("""{ "weights": "bfloat16" }""", "optimiser.weights bfloat16 needs precision bfloat16, not float32")]
    [InlineData(
        """{ "weights": "bfloat16", "kind": "prodigy" }""",
        "bfloat16 is for kind adamw, adamw8bit or adafactor; prodigy needs float32"
    )]
    public void Settings_without_effect_are_rejected(string optimiser, string problem)
    {
        var message = Assert.Throws<UsageException>(Bind($$"""{ "optimiser": {{optimiser}} }""").Validate).Message;
        Assert.Contains(problem, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "lora": {}, "objective": {} }""", "optimiser.weights has no effect with lora")]
    [InlineData("""{ "task": "autoencoder", "objective": null }""", "optimiser.weights bfloat16 is for denoisers")]
    public void Weights_in_bfloat16_are_those_of_denoisers(string set, string problem)
    {
        var json = JsonNode.Parse(set)!.AsObject();
        (json["precision"], json["optimiser"]) = ("bfloat16", new JsonObject { ["weights"] = "bfloat16" });
        var message = Assert.Throws<UsageException>(Bind(json.ToJsonString()).Validate).Message;
        Assert.Contains(problem, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("schedule-free", LearningRateShape.Constant)]
    [InlineData("adamw", LearningRateShape.Cosine)]
    public void The_rate_of_a_schedule_free_run_does_not_decay(string kind, LearningRateShape expected)
    {
        var options = Bind($$"""{ "optimiser": { "kind": "{{kind}}", "learningRate": 1e-3 } }""").Optimiser;
        Assert.Equal(expected, options.Resolve(1e-3).Schedule.Shape);
    }

    [Fact]
    public void A_small_learning_rate_of_Prodigy_is_remarked()
    {
        static IEnumerable<string> Remarks(string rate) =>
            Bind($$"""{ "optimiser": { "kind": "prodigy", "learningRate": {{rate}} } }""")
                .Remarks()
                .Where(static r => r.Contains("Prodigy", StringComparison.Ordinal));
        Assert.Equal(["Prodigy multiplies its step by the learning rate, 0.0001; 1 is usual."], Remarks("1e-4"));
        Assert.Empty(Remarks("0.5"));
    }

    [Theory]
    [InlineData("adamw")]
    [InlineData("adamw8bit")]
    [InlineData("adafactor")]
    [InlineData("prodigy")]
    [InlineData("schedule-free")]
    [InlineData("muon")]
    public void The_size_of_the_state_is_known_without_weights(string kind)
    {
        var options = Bind($$"""{ "optimiser": { "kind": "{{kind}}" } }""").Optimiser;
        using var shapes = new DiTTransformer2D(DiTTests.Small);
        using var network = new DiTTransformer2D(DiTTests.Small);
        using var generator = Generator.Create(Device.Cpu, 1);
        network.Parameters.Initialise(generator, Device.Cpu);
        using var optimiser = options.Create(network.Parameters.Trained, 1);
        Assert.Equal(optimiser.StateBytes, options.StateBytes(shapes.Parameters.Trained));
    }

    private static TrainingOptions Bind(string json)
    {
        var node = JsonNode.Parse(json)!.AsObject();
        if (!node.ContainsKey("objective"))
            node["objective"] = new JsonObject();
        node["model"] = new JsonObject { ["path"] = "model" };
        return OptionsFile.Bind<TrainingOptions>(node, "test");
    }
}
