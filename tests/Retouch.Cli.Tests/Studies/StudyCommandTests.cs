using System.Text.Json;
using Retouch.Cli.Tests.Demo;
using Retouch.Data.Scenes;
using Retouch.Tests;

namespace Retouch.Cli.Tests.Studies;

/// <summary><c>retouch study</c> from the command line, with a model of random weights.</summary>
public sealed class StudyCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-study-").FullName;

    public StudyCommandTests() => TinyPipeline.Save(In("tiny"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public void Taps_proposes_valid_training_options()
    {
        var outcome = Run("taps", "--model", In("tiny"), "--levels", "4");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using var result = JsonDocument.Parse(outcome.Out);
        // The mid block and three up blocks.
        Assert.Equal(4, result.RootElement.GetProperty("study").GetProperty("taps").GetArrayLength());
        var sigmas = result
            .RootElement.GetProperty("study")
            .GetProperty("levels")
            .EnumerateArray()
            .Select(static l => l.GetProperty("sigma").GetDouble())
            .ToArray();
        Assert.Equal(4, sigmas.Length);
        Assert.Equal(sigmas.Order(), sigmas);
        // The page contains the command.
        var page = File.ReadAllText(In("taps", "report.html"));
        Assert.Contains($"retouch study taps --size 32 --count 4 --output {In("taps")} --json --model {In("tiny")} --levels 4", page);
        Assert.Contains("Load average at the start", page);
        var train = RetouchInProcess.Run([
            "train",
            "--options",
            In("taps", "options.json"),
            "--model",
            In("tiny"),
            "--size",
            "32",
            "--steps",
            "2",
            "--batch-size",
            "2",
            "--set",
            "data.sceneCount=4",
            "--output",
            In("run"),
        ]);
        Assert.True(train.ExitCode == 0, train.Error);
        Assert.Contains("lpl", File.ReadAllText(In("run", "metrics.jsonl")));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Latents_and_features_need_only_the_autoencoder()
    {
        var latents = Run("latents", "--model", In("tiny", "vae"));
        Assert.True(latents.ExitCode == 0, latents.Error);
        using var rows = JsonDocument.Parse(latents.Out);
        Assert.Equal(18, rows.RootElement.GetArrayLength());
        Assert.All(rows.RootElement.EnumerateArray(), static row => Assert.True(row.GetProperty("latentMse").GetDouble() > 0));
        Assert.True(File.Exists(In("latents", "report.html")));
        var features = Run("features", "--model", In("tiny", "vae"), "--channels", "2");
        Assert.True(features.ExitCode == 0, features.Error);
        using var maps = JsonDocument.Parse(features.Out);
        // Four pictures, four taps, two channels.
        Assert.Equal(32, maps.RootElement.GetArrayLength());
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(true)]
    [InlineData(false)]
    public void Windows_compares_gradients_with_those_of_whole_pictures(bool denoiser)
    {
        var model = denoiser ? In("tiny") : In("tiny", "vae");
        var outcome = Run("windows", "--model", model, "--count", "2", "--crop", "16", "32", "--halo", "0", "16");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Out);
        var rows = json.RootElement.EnumerateArray().ToArray();
        Assert.Equal(8, rows.Length);
        foreach (var row in rows)
        {
            double Of(string name) => row.GetProperty(name).GetDouble();
            var whole = Of("crop") == 32;
            Assert.Equal(whole ? 1 : 0.25, Of("area"), 1e-12);
            Assert.Equal(whole || Of("halo") == 16 ? 1 : 0.25, Of("decoded"), 1e-12);
            string[] ratios = ["loss", "cosine", "norm", "windowCosine", "estimatedNorm"];
            // A single window is the whole picture.
            if (whole)
                Assert.All(ratios, name => Assert.Equal(1, Of(name), 1e-5));
            // Whole pictures are decoded, and compared in parts: a pixel loss is unbiased.
            else if (Of("halo") == 16 && row.GetProperty("term").GetString() == "pixel")
                Assert.All(ratios[..3], name => Assert.Equal(1, Of(name), 1e-4));
            if (!whole)
                Assert.True(Of("variance") > 0.5 && Of("windowCosine") < Of("cosine"));
        }
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("taps", "--factors 2", "--factors has an effect only")]
    [InlineData("other", "--count 4", "Unknown study 'other'")]
    [InlineData("taps", "--crop 16", "--crop has an effect only")]
    [InlineData("windows", "--crop 64", "A window of 64 pixels is larger than the pictures, 32 x 32")]
    [InlineData("windows", "--crop 15", "decodeCrop is 15; it must be a multiple of")]
    [InlineData("latents", "--factors 1", "cannot be downsampled by 1")]
    [InlineData("taps", "--count 0", "--count is 0; it must lie in [1, 4096]")]
    public void Invalid_inputs_are_rejected(string name, string given, string message)
    {
        var outcome = Run(name, ["--model", In("tiny"), .. given.Split(' ')]);
        Assert.Equal((2, ""), (outcome.ExitCode, outcome.Out));
        Assert.Contains(message, outcome.Error);
        Assert.False(File.Exists(In(name, "report.html")));
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(1, "at least one picture has no class")]
    [InlineData(11, "has classes 0 to 9, but a picture has class 10")]
    public void Taps_of_pictures_without_suitable_classes_are_rejected(int folders, string message)
    {
        SceneFolder.Write(
            In("pictures"),
            new ProceduralScenes(1, 32, 11),
            k => folders == 1 ? $"{k:D2}.png" : Path.Combine($"class{k % folders:D2}", "one.png")
        );
        var outcome = Run("taps", "--model", In("tiny"), "--data", In("pictures"), "--count", "11");
        Assert.Equal((3, ""), (outcome.ExitCode, outcome.Out));
        Assert.Contains(message, outcome.Error);
    }

    private RetouchProcess.Outcome Run(string name, params string[] more) =>
        RetouchInProcess.Run([
            "study",
            name,
            "--size",
            "32",
            .. more.Contains("--count") ? Array.Empty<string>() : ["--count", "4"],
            "--output",
            In(name),
            "--json",
            .. more,
        ]);

    private string In(params string[] parts) => Path.Combine([_folder, .. parts]);
}
