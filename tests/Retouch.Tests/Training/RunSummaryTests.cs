using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Tests.Training.Telemetry;
using Retouch.Training;

namespace Retouch.Tests.Training;

/// <summary>What a run says of itself before its first step.</summary>
public sealed class RunSummaryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_starts_with_six_lines()
    {
        var options = TinyRun.Denoiser("""{ "perceptual": {}, "pixel": { "weight": 2 } }""", set: """{ "steps": 3 }""");
        var progress = new ProgressProbe();
        using (var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System))
            run.Train(progress, CancellationToken.None);
        Assert.Collection(
            progress.Notes.Take(6),
            static line => Assert.Matches("^model    from scratch: DiTTransformer2DModel; [0-9,]+ parameters are trained$", line),
            static line => Assert.Equal("data     11 procedural scenes in 10 classes, 16 × 16 pixels", line),
            static line => Assert.Matches("^device   cpu, [0-9]+ threads?, float32$", line),
            static line => Assert.Equal("steps    3 of 4 samples (2 × 2), 1.09 epochs; AdamW, learning rate 0.0001, cosine decay", line),
            static line => Assert.Equal("losses   latent (1), lpl (gradient ratio 2, measured over 100 steps), pixel (2)", line),
            line => Assert.Equal($"output   {_folder["run"]}, a checkpoint every 4 steps, weight averages of decay 0.9, 0.99", line)
        );
    }

    [Fact]
    public void Encoding_progress_counts_pictures()
    {
        var progress = new ProgressProbe();
        using (
            var run = TrainingRun.Start(
                TinyRun.Denoiser("{}", cacheLatents: true, set: """{ "steps": 1 }"""),
                _folder["run"],
                TimeProvider.System
            )
        )
            run.Train(progress, CancellationToken.None);
        var encoded = progress.Steps.Where(static s => s.Unit == "picture").ToList();
        Assert.NotEmpty(encoded);
        Assert.Equal((11, 11), (encoded[^1].Step, encoded[^1].TotalSteps));
    }

    [Fact]
    public void A_dry_run_encodes_only_its_pictures_without_a_cache()
    {
        // Pictures after those of the plan's four steps of 2 × 2 are broken: reading them would end in an error.
        Directory.CreateDirectory(_folder["data/first"]);
        Directory.CreateDirectory(_folder["data/second"]);
        for (var k = 0; k < 40; k++)
        {
            var path = _folder[$"data/{(k < 16 ? "first" : "second")}/{k:00}.png"];
            if (k < 16)
                File.WriteAllBytes(path, PictureFile.Encode(Picture.Filled(16, 16, new Rgb((byte)(6 * k), 90, 30)), PictureFormat.Png));
            else
                File.WriteAllText(path, "broken");
        }

        var options = TinyRun.Denoiser(
            "{}",
            cacheLatents: true,
            set: $$"""{ "data": { "folder": "{{_folder["data"]}}", "size": 16, "cacheLatents": true, "cache": "{{_folder["cache"]}}" } }"""
        );
        using (var whole = TrainingRun.Start(options, _folder["run"], TimeProvider.System))
            Assert.Throws<InputException>(() => whole.Train(new ProgressProbe(), CancellationToken.None));
        Directory.Delete(_folder["cache"], recursive: true);
        using var run = TrainingRun.Start(options, null, TimeProvider.System);
        var plan = run.Plan(CancellationToken.None);
        Assert.Equal(40, plan.Pictures);
        Assert.True(plan.EncodingSeconds > 0, $"{plan.EncodingSeconds} s");
        Assert.False(Directory.Exists(_folder["cache"]));
    }
}
