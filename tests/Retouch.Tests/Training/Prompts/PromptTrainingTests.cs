using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Pipelines;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Prompts;

/// <summary>Text-conditional denoisers: training, resuming, saving and sampling.</summary>
public sealed class PromptTrainingTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public PromptTrainingTests() => TextPipelineFolder.Write(PathOf("text"));

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("speed", "slow")]
    public void A_trained_model_samples_with_its_copied_text_encoders()
    {
        var outcome = Train(Options(), "run");
        var model = outcome.Models[0];
        Assert.Equal("StableDiffusionPipeline", PromptEncoders.FamilyOf(model));
        using var scope = TensorScope.Enter();
        using var pipeline = LatentDiffusionPipeline.Load(model, Device.Cpu);
        using var encoders = pipeline.LoadPromptEncoders(Device.Cpu);
        Assert.Equal(TextPipelineFolder.Width, encoders.Encoder.Width);
        IReadOnlyList<Picture> Draw(string prompt)
        {
            var request = new PipelineSampling
            {
                Seeds = [5],
                Width = 16,
                Height = 16,
                Steps = 4,
                Guidance = new(3),
                Conditions = [encoders.Encoder.Encode([prompt]).Condition],
                Unconditional = encoders.Encoder.Encode([""]).Condition,
            };
            return PipelineSampler.Sample(pipeline, request, Device.Cpu);
        }

        Assert.Equal(Draw("a red ball")[0].Pixels.ToArray(), Draw("a red ball")[0].Pixels.ToArray());
        Assert.NotEqual(Draw("a red ball")[0].Pixels.ToArray(), Draw("two trees")[0].Pixels.ToArray());
        Assert.True(File.Exists(Path.Combine(model, "tokenizer", "vocab.json")));
        Assert.Equal(
            File.ReadAllBytes(PathOf("text/text_encoder/model.safetensors")),
            File.ReadAllBytes(Path.Combine(model, "text_encoder", "model.safetensors"))
        );
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Cached_captions_give_the_same_weights()
    {
        var plain = TinyRun.WeightFiles(Train(Options(), "plain").Run);
        var cache = new JsonObject { ["data.cache"] = PathOf("cache") };
        Train(Options(cache), "first");
        Assert.Equal(plain.Values, TinyRun.WeightFiles(Train(Options(cache), "second").Run).Values);
        File.WriteAllText(PathOf("text/tokenizer/merges.txt"), "#version: 0.2\na b\n");
        var error = Assert.Throws<InputException>(() => Train(Options(cache), "third"));
        Assert.Contains("stale", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_resumed_run_draws_the_same_captions()
    {
        var whole = Train(Options(), "whole");
        using var stop = new CancellationTokenSource();
        using (var run = TrainingRun.Start(Options(), PathOf("cut"), TimeProvider.System))
        {
            using var probe = new ProgressProbe(p =>
            {
                if (p.Step == 3)
                    stop.Cancel();
            });
            Assert.Throws<OperationCanceledException>(() => run.Train(probe, stop.Token));
        }

        using var resumed = TrainingRun.Resume(PathOf("cut"), null, TimeProvider.System);
        using var silent = new ProgressProbe();
        Assert.Equal(TinyRun.WeightFiles(whole.Run).Values.Count, TinyRun.WeightFiles(resumed.Train(silent, default).Run).Values.Count);
        var (expected, actual) = (TinyRun.WeightFiles(whole.Run), TinyRun.WeightFiles(PathOf("cut")));
        foreach (var (name, bytes) in expected.Where(static f => f.Key.StartsWith("model", StringComparison.Ordinal)))
            Assert.Equal(bytes, actual[name]);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Post_training_reuses_the_caption_cache()
    {
        var cache = new JsonObject { ["data.cache"] = PathOf("cache"), ["data.cacheLatents"] = true };
        var first = Train(Options(cache), "first");
        var files = Directory
            .GetFiles(PathOf("cache"), "*", SearchOption.AllDirectories)
            .Order(StringComparer.Ordinal)
            .ToDictionary(static f => f, File.GetLastWriteTimeUtc);
        Assert.NotEmpty(files);
        // Its autoencoder was rewritten in another order.
        var post = Options(
            new JsonObject
            {
                ["model.config"] = null,
                ["model.autoencoder"] = null,
                ["model.promptsFrom"] = null,
                ["model.path"] = first.Models[0],
                ["data.cache"] = PathOf("cache"),
                ["data.cacheLatents"] = true,
            }
        );
        Assert.Equal(6, Train(post, "second").Steps);
        Assert.Equal(
            files,
            Directory
                .GetFiles(PathOf("cache"), "*", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal)
                .ToDictionary(static f => f, File.GetLastWriteTimeUtc)
        );
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Single_samples_in_pair_batches_have_their_own_captions()
    {
        DegradedPairs.Write(
            new ProceduralScenes(2, 16, 6),
            new() { Degradation = Degradation.Blur, Size = 16 },
            PathOf("pairs"),
            CancellationToken.None
        );
        var singles = Directory.CreateDirectory(PathOf("singles")).FullName;
        for (var k = 0; k < 3; k++)
        {
            File.WriteAllBytes(
                Path.Combine(singles, $"{k}.png"),
                PictureFile.Encode(Picture.Filled(16, 16, new Rgb((byte)(60 * k), 0, 0)), PictureFormat.Png)
            );
            File.WriteAllText(Path.Combine(singles, $"{k}.txt"), $"nothing but red, number {k}");
        }

        var options = Options(
            new JsonObject
            {
                ["objective"] = new JsonObject { ["latentWeight"] = 0.5, ["preference"] = new JsonObject() },
                ["batch"] = new JsonObject { ["size"] = 2, ["extra"] = 2 },
                ["data"] = new JsonObject
                {
                    ["pairs"] = PathOf("pairs"),
                    ["folder"] = singles,
                    ["size"] = 16,
                    ["cache"] = PathOf("cache"),
                },
                ["conditioning.dropout"] = 0,
            }
        );
        Assert.Equal(6, Train(options, "run").Steps);
        using var again = TrainingRun.Start(options, null, TimeProvider.System);
        using var silent = new ProgressProbe();
        Assert.Equal(Captions(PathOf("pairs/metadata.jsonl")) + 3, again.FillCache(silent, default).Captions);

        static int Captions(string file) =>
            File.ReadLines(file).Select(static l => (string)JsonNode.Parse(l)!["caption"]!).Distinct(StringComparer.Ordinal).Count();
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("live")]
    [InlineData("precomputed")]
    public void Pairs_of_several_shapes_form_uniform_batches(string reference)
    {
        var pairs = Directory.CreateDirectory(PathOf("pairs")).FullName;
        List<string> lines = [];
        for (var k = 0; k < 8; k++)
        {
            var (width, height) = k % 2 == 0 ? (64, 16) : (16, 64);
            foreach (var (name, level) in new[] { ("winner", 90), ("loser", 70) })
                PictureFile.Save(
                    Picture.Filled(width, height, new Rgb((byte)(level + (10 * k)), 40, 0)),
                    Path.Combine(pairs, $"{name}-{k}.png")
                );
            lines.Add($$"""{ "winner": "winner-{{k}}.png", "loser": "loser-{{k}}.png", "caption": "number {{k}}" }""");
        }

        // One loser has another shape than its winner.
        PictureFile.Save(Picture.Filled(64, 64, Rgb.White), Path.Combine(pairs, "loser-7.png"));
        File.WriteAllLines(Path.Combine(pairs, "metadata.jsonl"), lines);
        var preference = new JsonObject { ["space"] = "both", ["reference"] = reference };
        var options = Options(
            new JsonObject
            {
                ["objective"] = new JsonObject { ["preference"] = preference },
                ["batch"] = new JsonObject { ["size"] = 2 },
                ["samples.every"] = 0,
                ["data"] = new JsonObject
                {
                    ["pairs"] = pairs,
                    ["size"] = 16,
                    ["maxBadShare"] = 0.2,
                    ["buckets"] = new JsonObject
                    {
                        ["step"] = 8,
                        ["minSide"] = 8,
                        ["maxSide"] = 32,
                    },
                },
            }
        );
        var outcome = Train(options, reference);
        Assert.Equal((6, 1), ((int)outcome.Steps, outcome.Quarantined));
        Assert.Contains("aspect ratios differ", File.ReadAllText(Path.Combine(outcome.Run, "quarantine.jsonl")), StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_captions_are_errors_without_output()
    {
        var data = Directory.CreateDirectory(PathOf("data")).FullName;
        for (var k = 0; k < 4; k++)
            File.WriteAllBytes(
                Path.Combine(data, $"{k}.png"),
                PictureFile.Encode(Picture.Filled(16, 16, new Rgb((byte)k, 0, 0)), PictureFormat.Png)
            );
        File.WriteAllText(Path.Combine(data, "2.txt"), "a picture");
        var options = Options(
            new JsonObject
            {
                ["data"] = new JsonObject { ["folder"] = data, ["size"] = 16 },
            }
        );
        var error = Assert.Throws<InputException>(() => TrainingRun.Start(options, PathOf("run"), TimeProvider.System));
        Assert.Contains("3 of 4 pictures have no caption", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(PathOf("run")));
    }

    [Fact]
    public void A_text_conditional_denoiser_needs_suitable_encoders()
    {
        var error = Assert.Throws<UsageException>(() =>
            TrainingRun.Start(Options(new JsonObject { ["model.promptsFrom"] = null }), null, TimeProvider.System)
        );
        Assert.Contains("model.promptsFrom", error.Message, StringComparison.Ordinal);
        var wide = Options(new JsonObject { ["model.config"] = PromptRun.Network(TextPipelineFolder.Width * 2) });
        Assert.Contains(
            "they do not belong together",
            Assert.Throws<InputException>(() => Train(wide, "wide")).Message,
            StringComparison.Ordinal
        );
    }

    private string PathOf(string name) => Path.Combine(_folder.Path, name);

    private TrainingOptions Options(JsonObject? set = null) => PromptRun.Options(PathOf("text"), set);

    private TrainingOutcome Train(TrainingOptions options, string name)
    {
        using var run = TrainingRun.Start(options, PathOf(name), TimeProvider.System);
        using var probe = new ProgressProbe();
        return run.Train(probe, default);
    }
}
