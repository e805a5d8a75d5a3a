using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

/// <summary>Other spellings of options.</summary>
public sealed class OptionSpellingsTests
{
    [Fact]
    public void Resolved_options_have_one_spelling()
    {
        var json = OptionsFile.Parse("""{ "optimizer": { "clipNorm": 2 }, "precision": "BF16", "task": "Denoiser" }""", "test");
        OptionsFile.Set(json, "optimizer.learningRate", "0.003");
        OptionsFile.Set(json, "objective.perceptual.normalization", "none");
        OptionsFile.Set(json, "model.config", "{\"optimizer\": 1}");
        var options = OptionsFile.Bind<TrainingOptions>(json, "test");
        Assert.Equal(0.003, options.Optimiser.LearningRate);
        Assert.Equal(2, options.Optimiser.ClipNorm);
        Assert.Equal("bfloat16", options.Precision);
        Assert.Equal(TrainingTaskKind.Denoiser, options.Task);
        var written = OptionsFile.Write(options);
        Assert.Contains("\"optimiser\"", written, StringComparison.Ordinal);
        Assert.Contains("\"denoiser\"", written, StringComparison.Ordinal);
        // Configurations of networks are not Retouch's.
        Assert.Equal(1, (int)options.Model.Config!["optimizer"]!);
    }

    [Fact]
    public void Both_spellings_together_are_rejected()
    {
        var message = Assert
            .Throws<UsageException>(() => OptionsFile.Parse("""{ "optimizer": {}, "optimiser": {} }""", "run.json"))
            .Message;
        Assert.Equal("run.json: optimiser is given twice, also as 'optimizer'; remove one of them.", message);
    }

    [Theory]
    [InlineData("fp32", "float32")]
    [InlineData("fp16", "float16")]
    [InlineData("bf16", "bfloat16")]
    [InlineData("half", "half")] // reported by the options' validation
    public void Precisions_are_written_by_their_names(string given, string expected) =>
        Assert.Equal(
            expected,
            OptionsFile.Bind<TrainingOptions>(new JsonObject { ["task"] = "denoiser", ["precision"] = given }, "test").Precision
        );
}
