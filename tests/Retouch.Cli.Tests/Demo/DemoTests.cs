using System.Text.Json;
using Retouch.Data.Scenes;
using Retouch.Tests;

namespace Retouch.Cli.Tests.Demo;

/// <summary>The demo from the command line, with tiny networks.</summary>
public sealed class DemoTests : IDisposable
{
    private static readonly string[] Short =
    [
        "--size",
        "32",
        "--steps",
        "3",
        "--batch-size",
        "4",
        "--samples",
        "6",
        "--sampler-steps",
        "2",
    ];
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-demo-").FullName;

    public DemoTests() => TinyPipeline.Save(In("tiny"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public void The_demo_compares_the_arms_and_can_be_resumed()
    {
        var output = In("demo");
        var outcome = RetouchInProcess.Run(["demo", "--model", In("tiny"), "--output", output, .. Short, "--json"]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using var result = JsonDocument.Parse(outcome.Out);
        var arms = result.RootElement.GetProperty("arms").EnumerateArray().ToArray();
        Assert.Equal(["latent only", "+ LPL", "+ pixel loss"], arms.Select(arm => arm.GetProperty("name").GetString()));
        Assert.All(arms, arm => Assert.True(arm.GetProperty("peakBytes").GetInt64() > 50L << 20));
        Assert.All(arms, arm => Assert.True(File.Exists(Path.Combine(arm.GetProperty("model").GetString()!, "model_index.json"))));
        // Six pictures have singular covariances, so that there is no verdict.
        Assert.StartsWith("Too few pictures to judge", result.RootElement.GetProperty("verdict").GetString());
        Assert.Contains("arm 2 of 3: + LPL", outcome.Error);

        var html = File.ReadAllText(Path.Combine(output, "report.html"));
        Assert.Contains("Too few pictures to judge", html);
        // Six samples in five columns, and one enlarged sample per column.
        Assert.Equal(35, html.Split("data:image/png;base64,").Length - 1);
        Assert.DoesNotMatch("(src|href)=\"http", html);
        Assert.Contains($"retouch train --options {output}/arms/lpl/options.json --output again/lpl", html);
        using var report = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, "report.json")));
        Assert.Equal(JsonValueKind.Object, report.RootElement.ValueKind);
        foreach (
            var title in new[]
            {
                "Results against held-out pictures",
                "Differences to latent only",
                "Cost",
                "Radial power spectra",
                "Error of the spectrum by band",
                "+ LPL: shares of the loss",
                "Gradient ratio of the decoded term",
            }
        )
            Assert.Contains(title, html);

        // The same data, noise and timesteps: the latent loss of the first step is equal in all arms.
        var first = new[] { "latent", "lpl", "pixel" }
            .Select(arm =>
                JsonDocument
                    .Parse(File.ReadLines(Path.Combine(output, "arms", arm, "metrics.jsonl")).First())
                    .RootElement.GetProperty("loss/latent/raw")
                    .GetDouble()
            )
            .ToArray();
        Assert.Equal(first[0], first[1]);
        Assert.Equal(first[0], first[2]);

        // Encoded once for all arms, and not again for the arm retrained below.
        Assert.Contains("once for all arms", outcome.Error);
        Dictionary<string, DateTime> Latents() =>
            Directory
                .EnumerateFiles(Path.Combine(output, "latents"), "*", SearchOption.AllDirectories)
                .ToDictionary(static file => file, File.GetLastWriteTimeUtc);
        var latents = Latents();
        Assert.NotEmpty(latents);

        Assert.Contains("<html", File.ReadAllText(Path.Combine(output, "arms", "lpl", "report.html")));
        var kept = File.GetLastWriteTimeUtc(Path.Combine(output, "arms", "lpl", "metrics.jsonl"));
        Directory.Delete(Path.Combine(output, "arms", "pixel"), recursive: true);
        Directory.Delete(Path.Combine(output, "samples", "pixel"), recursive: true);
        File.Delete(Path.Combine(output, "report.html"));
        var again = RetouchInProcess.Run(["demo", "--output", output, "--resume", "--json"]);
        Assert.True(again.ExitCode == 0, again.Error);
        using var second = JsonDocument.Parse(again.Out);
        Assert.Equal(result.RootElement.GetProperty("evaluation").GetRawText(), second.RootElement.GetProperty("evaluation").GetRawText());
        Assert.Equal(kept, File.GetLastWriteTimeUtc(Path.Combine(output, "arms", "lpl", "metrics.jsonl")));
        Assert.True(File.Exists(Path.Combine(output, "report.html")));
        Assert.Equal(latents, Latents());

        Assert.Equal(2, RetouchInProcess.Run(["demo", "--model", In("tiny"), "--output", output, .. Short]).ExitCode);
        Assert.Equal(2, RetouchInProcess.Run(["demo", "--output", output, "--resume", "--steps", "9"]).ExitCode);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void The_demo_trains_its_networks_on_the_users_pictures()
    {
        SceneFolder.Write(
            In("mine"),
            new ProceduralScenes(5, 40, 48),
            static k => Path.Combine(k % 3 == 0 ? "thirds" : "others", $"{k:D3}.png")
        );
        File.WriteAllText(Path.Combine(In("mine"), "others", "broken.png"), "no picture");
        var output = In("own");
        var outcome = RetouchInProcess.Run([
            "demo",
            "--data",
            In("mine"),
            "--model",
            In("tiny"),
            "--minutes",
            "0.001",
            "--output",
            output,
            .. Short,
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains("1 of ", outcome.Error);
        Assert.True(
            outcome.Error.IndexOf("together     about", StringComparison.Ordinal)
                < outcome.Error.IndexOf("Training the autoencoder", StringComparison.Ordinal),
            outcome.Error
        );
        Assert.Matches(@"wavelet distance[\s\S]*latent only[\s\S]*\+ LPL[\s\S]*\+ pixel loss[\s\S]*report: ", outcome.Out);

        var held = Texts("held-out")
            .Concat(File.Exists(Path.Combine(output, "held-out-other", "metadata.jsonl")) ? Texts("held-out-other") : [])
            .ToArray();
        var trained = Texts("training-pictures");
        Assert.Equal(4, held.Length);
        Assert.Equal(44, trained.Length);
        Assert.Empty(held.Intersect(trained));
        string[] Texts(string name) =>
            [
                .. File.ReadLines(Path.Combine(output, name, "metadata.jsonl"))
                    .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("text").GetString()!),
            ];

        using var denoiser = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, "model", "transformer", "config.json")));
        Assert.Equal(2, denoiser.RootElement.GetProperty("num_embeds_ada_norm").GetInt32());
        Assert.Equal(8, denoiser.RootElement.GetProperty("sample_size").GetInt32());
        using var autoencoder = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, "model", "vae", "config.json")));
        Assert.NotEqual(0.5, autoencoder.RootElement.GetProperty("scaling_factor").GetDouble());
        Assert.Contains("seed 1001, thirds", File.ReadAllText(Path.Combine(output, "report.html")));
    }

    [Fact]
    public void Incompatible_options_fail_without_output()
    {
        void Fails(int code, string message, params string[] arguments)
        {
            var outcome = RetouchInProcess.Run(["demo", "--output", In("none"), .. arguments]);
            Assert.Equal((code, ""), (outcome.ExitCode, outcome.Out));
            Assert.Contains(message, outcome.Error);
            Assert.False(Directory.Exists(In("none")));
        }

        Fails(2, "--minutes limits", "--minutes", "3");
        Fails(2, "give one of them", "--retrain", "--data", In("tiny"));
        Fails(2, "divisible by 8", "--size", "60");
        Fails(2, "--samples is 3", "--samples", "3");
        Fails(3, "is not the folder of a demo", "--resume");
    }

    private string In(string name) => Path.Combine(_folder, name);
}
