using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Tests.Pipelines;
using Retouch.Tests.Training.Prompts;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training;

/// <summary>Prior preservation in runs.</summary>
public sealed class PriorRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public PriorRunTests()
    {
        TextPipelineFolder.Write(_folder["text"]);
        for (var k = 0; k < 5; k++)
        {
            Save($"own/{k}.png", 20 * k);
            _folder.Add($"own/{k}.txt", $"my dog {k}");
            Save($"dogs/{k}.png", 30 * k);
        }
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("speed", "slow")]
    public void A_resumed_run_has_the_same_prior_samples_and_the_log_their_loss()
    {
        var whole = TinyRun.Train(Options(), _folder["whole"]);
        TinyRun.TrainUntil(Options(), _folder["cut"], static p => p.Unit == "step" && p.Step == 3);
        TinyRun.Resume(_folder["cut"]);
        Assert.Equal(TinyRun.WeightFiles(whole), TinyRun.WeightFiles(_folder["cut"]));
        Assert.Equal(TinyRun.Metrics(whole), TinyRun.Metrics(_folder["cut"]));
        var records = MetricsReader
            .Read(Path.Combine(whole, "metrics.jsonl"))
            .Select(static r => r.Values.ToDictionary(StringComparer.Ordinal))
            .Where(static v => v.ContainsKey("loss/total"))
            .ToArray();
        Assert.Equal(6, records.Length);
        foreach (var values in records)
        {
            Assert.True(values["loss/prior/raw"] > 0);
            Assert.Equal(0.5 * values["loss/prior/raw"], values["loss/prior/weighted"], 1e-9);
            Assert.Equal(
                values["loss/latent/weighted"] + values["loss/lpl/weighted"] + values["loss/prior/weighted"],
                values["loss/total"],
                1e-6 * values["loss/total"]
            );
        }

        // The weights depend on the prior samples.
        var without = TinyRun.Train(Options(new() { ["data.prior"] = null }), _folder["without"]);
        Assert.NotEqual(TinyRun.WeightFiles(whole), TinyRun.WeightFiles(without));
    }

    [Fact]
    public void Pictures_and_prior_samples_are_in_every_batch()
    {
        var options = Options(new() { ["data.prior.size"] = 2 }).Resolve();
        var (source, prior) = TrainingData.Open(options);
        Assert.Equal(["a dog"], Enumerable.Range(0, 5).Select(k => prior![k].Caption).Distinct());
        var data = TrainingData.Of(options, source, prior);
        using var scope = TensorScope.Enter();
        using var batches = new MixedBatches(
            new Prefetcher(data.Plan, data.Loader, new PrefetchOptions { Workers = 1 }, TimeProvider.System),
            data.Singles!.After(0, 1, TimeProvider.System),
            Device.Cpu
        );
        HashSet<double> seen = [];
        for (var k = 0; k < 10; k++)
        {
            var batch = batches.Next(default);
            Assert.Equal((5, 2, 0), (batch.Count, batch.Prior, batch.Pairs));
            Assert.All(batch.Samples.Take(3), static s => Assert.StartsWith("my dog", s.Caption!));
            Assert.All(batch.Samples.Skip(3), static s => Assert.Equal("a dog", s.Caption));
            foreach (var at in (int[])[3, 4])
                seen.Add(batch.Images!.Narrow(0, at, 1).Max().Item());
        }

        // Twenty draws of five pictures in two per batch: each occurs four times.
        Assert.Equal(5, seen.Count);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_dry_run_measures_prior_samples()
    {
        using var run = TrainingRun.Start(Options(), null, TimeProvider.System);
        Assert.Equal(5, run.Plan(default).Pictures);
    }

    [Theory]
    [InlineData("data.prior", "{}", "data.prior.folder is missing")]
    [InlineData("data.prior.weight", "0", "data.prior.weight is 0")]
    [InlineData("data.prior.size", "0", "data.prior.size is 0")]
    [InlineData("data.cacheLatents", "true", "data.prior reads pictures of one size")]
    [InlineData("data.buckets", "{ \"step\": 8 }", "data.prior reads pictures of one size")]
    public void Options_without_meaning_are_errors(string path, string value, string message)
    {
        var options = Options(new() { [path] = JsonNode.Parse(value) });
        Assert.Contains(message, Assert.Throws<UsageException>(options.Validate).Message);
    }

    [Fact]
    public void Prior_pictures_without_captions_need_a_prompt()
    {
        var error = Assert.Throws<InputException>(() =>
            TrainingRun.Start(Options(new() { ["data.prior.prompt"] = null }), null, TimeProvider.System)
        );
        Assert.Contains("5 of 5 pictures have no caption", error.Message);
    }

    private TrainingOptions Options(JsonObject? set = null)
    {
        var all = new JsonObject
        {
            ["data"] = new JsonObject
            {
                ["folder"] = _folder["own"],
                ["size"] = 16,
                ["prior"] = new JsonObject
                {
                    ["folder"] = _folder["dogs"],
                    ["prompt"] = "a dog",
                    ["weight"] = 0.5,
                },
            },
            ["samples.every"] = 0,
        };
        foreach (var (path, value) in set ?? [])
            all[path] = value?.DeepClone();
        return PromptRun.Options(_folder["text"], all);
    }

    private void Save(string name, int level) =>
        _folder.Add(name, PictureFile.Encode(Picture.Filled(16, 16, new Rgb((byte)level, 0, 0)), PictureFormat.Png));
}
