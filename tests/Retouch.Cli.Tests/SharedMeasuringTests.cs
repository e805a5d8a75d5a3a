using System.Text.Json.Nodes;
using Retouch.Data.Scenes;
using Retouch.Evaluation.Features;
using Retouch.Images;

namespace Retouch.Cli.Tests;

/// <summary><c>evaluate</c> and <c>statistics</c> with <c>--nproc</c>.</summary>
public sealed class SharedMeasuringTests : IDisposable
{
    private static readonly string[] Two = ["--nproc", "2"];

    private static readonly Dictionary<string, string?> OneThread = new() { ["OMP_NUM_THREADS"] = "1" };

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-measuring-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    [Fact]
    [Trait("speed", "slow")]
    public void Two_processes_measure_as_one_does()
    {
        var scenes = new ProceduralScenes(1, 16, 83);
        foreach (var folder in (string[])["real", "drawn"])
            Directory.CreateDirectory(At(folder));
        for (var k = 0; k < scenes.Count; k++)
            PictureFile.Save(scenes.Load(k).Picture, At($"{(k < 41 ? "real" : "drawn")}/{k:D3}.png"));
        FeatureTraining.Run(
            scenes,
            At("network"),
            new()
            {
                Epochs = 1,
                Size = 16,
                Channels = 4,
            }
        );
        string Run(params string[] arguments)
        {
            var outcome = RetouchProcess.Run([.. arguments, "--retouch-features", At("network"), "--batch-size", "16"], OneThread);
            Assert.Equal((0, ""), (outcome.ExitCode, outcome.ExitCode == 0 ? "" : outcome.Error));
            return outcome.Out;
        }

        string[] evaluate = ["evaluate", "--images", At("drawn"), "--reference", At("real"), "--metrics", "fd,prdc,spectrum", "--json"];
        var alone = Run(evaluate);
        Assert.Equal(
            5,
            JsonNode.Parse(alone)!["sets"]![0]!["figures"]!.AsArray().Count(f => $"{f!["name"]}".EndsWith(".retouch-features"))
        );
        Assert.Equal(alone, Run([.. evaluate, .. Two]));
        string[] statistics = ["statistics", "--images", At("drawn"), "--output"];
        Run([.. statistics, At("alone.npz")]);
        Run([.. statistics, At("shared.npz"), .. Two]);
        Assert.Equal(File.ReadAllBytes(At("alone.npz")), File.ReadAllBytes(At("shared.npz")));
        File.WriteAllText(At("drawn/060.png"), "no picture");
        var failed = RetouchProcess.Run([.. evaluate, "--retouch-features", At("network"), .. Two], OneThread);
        Assert.InRange(failed.ExitCode, 3, 4);
        Assert.Contains("060.png", failed.Error);
        Assert.Equal("", failed.Out);
    }
}
