using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Tests.Pipelines;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Prompts;

/// <summary>Training on variants of captions.</summary>
public sealed class CaptionVariantTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public CaptionVariantTests()
    {
        TextPipelineFolder.Write(_folder["text"]);
        var data = Directory.CreateDirectory(_folder["data"]).FullName;
        for (var k = 0; k < 6; k++)
        {
            var picture = PictureFile.Encode(Picture.Filled(16, 16, new Rgb((byte)(40 * k), 90, 0)), PictureFormat.Png);
            File.WriteAllBytes(Path.Combine(data, $"{k}.png"), picture);
            File.WriteAllText(Path.Combine(data, $"{k}.txt"), $"x, {k}, a, b");
        }
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("speed", "slow")]
    public void A_resumed_run_draws_the_same_variants_from_memory_and_from_a_cache()
    {
        var whole = Weights(TinyRun.Train(Options(), _folder["whole"]));
        TinyRun.TrainUntil(
            Options(new() { ["data.cache"] = _folder["cache"] }),
            _folder["cut"],
            static p => p.Unit == "step" && p.Step == 3
        );
        TinyRun.Resume(_folder["cut"]);
        Assert.Equal(whole, Weights(_folder["cut"]));
        Assert.NotEqual(whole, Weights(TinyRun.Train(Options(new() { ["data.captions"] = null }), _folder["plain"])));
    }

    [Fact]
    public void All_variants_are_encoded_before_the_first_step()
    {
        using var run = TrainingRun.Start(Options(new() { ["data.cache"] = _folder["cache"] }), null, TimeProvider.System);
        using var probe = new ProgressProbe();
        // Each caption has a kept tag and three others, so six orders; 100 variants contain all of them.
        Assert.Equal((6, 6 * 6), run.FillCache(probe, default));
        Assert.Contains("Encoding 36 captions and the empty prompt …", probe.Notes);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Held_out_captions_have_their_order()
    {
        foreach (var k in Enumerable.Range(0, 6))
            File.WriteAllText(_folder[$"data/{k}.txt"], $"x ||| {k},a,b");
        var options = Options(
            new()
            {
                ["data.cache"] = _folder["cache"],
                ["data.captions.keepTokensSeparator"] = "|||",
                ["validation"] = new JsonObject { ["count"] = 2, ["every"] = 2 },
            }
        );
        using var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System);
        using var probe = new ProgressProbe();
        var outcome = run.Train(probe, default);
        Assert.NotNull(outcome.Validation);
        // Four training captions of six orders, and two in one order.
        Assert.Contains("Encoding 26 captions and the empty prompt …", probe.Notes);
        Assert.Contains("Each caption has 100 variants with tags shuffled (data.captions).", probe.Notes);
    }

    [Theory]
    [InlineData("""{ "keepTokens": 1 }""", "data.captions has no effect without shuffle or tagDropout")]
    [InlineData("""{ "shuffle": true, "separator": "" }""", "data.captions.separator is empty")]
    [InlineData("""{ "shuffle": true, "keepTokensSeparator": "," }""", "data.captions.keepTokensSeparator is empty or equals separator")]
    [InlineData("""{ "shuffle": true, "variants": 0 }""", "data.captions.variants is 0")]
    [InlineData("""{ "tagDropout": 1.5 }""", "data.captions.tagDropout is 1.5")]
    public void Options_without_meaning_are_errors(string captions, string message)
    {
        var error = Assert.Throws<UsageException>(Options(new() { ["data.captions"] = JsonNode.Parse(captions) }).Validate);
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public void A_denoiser_without_prompts_has_no_variants()
    {
        var options = TinyRun.Denoiser(set: """{ "data.captions": { "shuffle": true, "separator": " " } }""");
        var error = Assert.Throws<UsageException>(() => TrainingRun.Start(options, null, TimeProvider.System));
        Assert.Contains("data.captions has no effect on a denoiser without prompts", error.Message);
    }

    [Fact]
    public void Captions_without_the_separator_are_an_error()
    {
        var options = Options(new() { ["data.captions.separator"] = ";" });
        var error = Assert.Throws<InputException>(() => TrainingRun.Start(options, null, TimeProvider.System));
        Assert.Contains("none has several tags between ';' after the kept ones. The first is 'x, 0, a, b'", error.Message);
    }

    private TrainingOptions Options(JsonObject? set = null)
    {
        var all = new JsonObject
        {
            ["data"] = new JsonObject
            {
                ["folder"] = _folder["data"],
                ["size"] = 16,
                ["captions"] = new JsonObject
                {
                    ["shuffle"] = true,
                    ["keepTokens"] = 1,
                    ["variants"] = 100,
                },
            },
            ["samples.every"] = 0,
        };
        foreach (var (path, value) in set ?? [])
            all[path] = value?.DeepClone();
        return PromptRun.Options(_folder["text"], all);
    }

    private static IReadOnlyList<byte[]> Weights(string run) =>
        [.. TinyRun.WeightFiles(run).Where(static f => f.Key.StartsWith("model", StringComparison.Ordinal)).Select(static f => f.Value)];
}
