using Retouch.Core.Errors;
using Retouch.Tests.Training.HeldOut;
using Retouch.Tests.Training.Telemetry;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training;

/// <summary>Runs that decode windows.</summary>
public sealed class DecodeCropRunTests : IDisposable
{
    private const string Whole = """{ "perceptual": { "weight": 1 }, "pixel": { "weight": 1 } }""";
    private const string Windows = """{ "perceptual": { "weight": 1 }, "pixel": { "weight": 1 }, "decodeCrop": 8, "decodeHalo": 4 }""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_validation_decodes_whole_pictures_and_other_draws_are_the_same()
    {
        const string Set = """{ "steps": 2, "validation": { "count": 3, "every": 2 } }""";
        TinyRun.Train(TinyRun.Denoiser(Whole, set: Set), _folder["whole"]);
        TinyRun.Train(TinyRun.Denoiser(Windows, set: Set), _folder["windows"]);
        var (whole, windows) = (Read("whole"), Read("windows"));
        foreach (var name in new[] { "validation/weights/lpl", "validation/weights/pixel" })
        {
            Assert.True(whole[0].Find(name) > 0);
            Assert.Equal(whole[0].Find(name), windows[0].Find(name));
        }

        // The same samples, noise and timesteps.
        Assert.Equal(whole[1].Find("loss/latent/raw"), windows[1].Find("loss/latent/raw"));
        Assert.NotNull(whole[1].Find("loss/latent/raw"));
        Assert.NotEqual(whole[1].Find("loss/pixel/raw"), windows[1].Find("loss/pixel/raw"));
    }

    [Fact]
    public void Windows_take_the_masks_of_their_pictures()
    {
        HeldOutFolder.WriteClasses(_folder["data"], 6, 1);
        foreach (var file in Directory.GetFiles(_folder["data"], "*.png", SearchOption.AllDirectories))
            File.Copy(file, Path.ChangeExtension(file, null) + "_mask.png");
        double? Loss(string objective, string masks, string run)
        {
            var data = $$"""{ "folder": "{{_folder["data"]}}", "size": 16{{masks}} }""";
            TinyRun.Train(TinyRun.Denoiser(objective, set: $$"""{ "steps": 1, "data": {{data}} }"""), _folder[run]);
            return Read(run)[^1].Find("loss/pixel/raw");
        }

        // Each mask is one grey above black, which the normalisation removes.
        var plain = Loss(Windows, "", "plain")!.Value;
        Assert.Equal(plain, Loss(Windows, """, "masks": { "normalise": true }""", "normalised")!.Value, 1e-5 * plain);
        Assert.InRange(Loss(Windows, """, "masks": { "normalise": false }""", "weighted")!.Value, 0.01 * plain, 0.95 * plain);
    }

    [Theory]
    [InlineData(20, "{}", "objective.decodeCrop is 20, more than the side, 16")]
    [InlineData(16, "{}", "objective.decodeCrop is 16, the whole picture; leave it out")]
    [InlineData(10, "{}", "objective.decodeCrop is 10; it must be a multiple of 4, the pixels per latent of this model")]
    [InlineData(
        12,
        """{ "data.buckets": { "step": 8, "minSide": 8, "maxSide": 32 } }""",
        "objective.decodeCrop is 12, more than the shortest side of the buckets, 8"
    )]
    public void Sizes_that_do_not_fit_the_pictures_are_refused(int crop, string set, string message)
    {
        HeldOutFolder.WriteClasses(_folder["data"], 4, 0);
        var data = $$"""{ "folder": "{{_folder["data"]}}", "size": 16 }""";
        var options = TinyRun.Denoiser(
            $$"""{ "pixel": {}, "decodeCrop": {{crop}} }""",
            set: $$"""{ "data": {{data}}{{(set == "{}" ? " }" : "," + set[1..])}}"""
        );
        var problem = Assert.Throws<UsageException>(() =>
        {
            using var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System);
        });
        Assert.Contains(message, problem.Message);
        Assert.False(Directory.Exists(_folder["run"]));
    }

    private IReadOnlyList<MetricsRecord> Read(string run) => [.. MetricsReader.Read(_folder[$"{run}/metrics.jsonl"])];
}
