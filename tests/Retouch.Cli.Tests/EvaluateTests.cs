using System.Text.Json;
using Retouch.Data.Scenes;
using Retouch.Images;

namespace Retouch.Cli.Tests;

/// <summary><c>retouch evaluate</c> and <c>retouch compare</c> on folders of procedural scenes.</summary>
public sealed class EvaluateTests : IDisposable
{
    private const int Count = 60;

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-evaluate-").FullName;

    public EvaluateTests()
    {
        var scenes = new ProceduralScenes(1, 32, Count);
        for (var i = 0; i < Count; i++)
        {
            var picture = scenes.Load(i).Picture;
            Save("real", i, picture);
            // Downsampled and upsampled, which blurs.
            Save("soft", i, picture.Resize(24, 24, ResizeFilter.Bilinear).Resize(32, 32, ResizeFilter.Bilinear));
            Save("softer", i, picture.Resize(10, 10, ResizeFilter.Bilinear).Resize(32, 32, ResizeFilter.Bilinear));
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public void Evaluate_prints_a_table_of_figures_with_intervals()
    {
        var outcome = RetouchInProcess.Run(["evaluate", "--images", In("soft"), "--reference", In("real"), "--resamples", "100"]);
        Assert.Equal(0, outcome.ExitCode);
        var lines = outcome.Out.Split('\n');
        Assert.Contains($"Pictures   {In("soft")}: all 60; as they are", lines);
        Assert.Contains("Wavelets   haar, level 3: 64 packets of 48 coefficients; RGB, 0 to 1", lines);
        Assert.Contains(lines, line => System.Text.RegularExpressions.Regex.IsMatch(line, @"^fwd +lower +[\d.]+ \[[\d.]+, [\d.]+\]$"));
        Assert.Contains(lines, line => line.StartsWith("sharpness", StringComparison.Ordinal));
        Assert.DoesNotContain('\u001b', outcome.Out);
        Assert.Contains("warning: '" + In("soft") + "' has 60 pictures; below 2048", outcome.Error);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Compare_finds_the_better_folder_deterministically()
    {
        string[] arguments =
        [
            "compare",
            In("softer"),
            In("soft"),
            "--reference",
            In("real"),
            "--metrics",
            "fwd,spectrum,psnr",
            "--resamples",
            "200",
            "--seed",
            "5",
            "--json",
        ];
        var outcome = RetouchInProcess.Run(arguments);
        Assert.Equal(0, outcome.ExitCode);
        using var json = JsonDocument.Parse(outcome.Out);
        var root = json.RootElement;
        Assert.Equal(3, root.GetProperty("protocol").GetProperty("fwd").GetProperty("level").GetInt32());
        Assert.Equal(5, root.GetProperty("protocol").GetProperty("bootstrap").GetProperty("seed").GetInt32());
        Assert.Equal(
            [In("softer"), In("soft")],
            root.GetProperty("sets").EnumerateArray().Select(set => set.GetProperty("name").GetString())
        );
        var verdicts = root.GetProperty("differences")
            .EnumerateArray()
            .ToDictionary(d => d.GetProperty("figure").GetString()!, d => d.GetProperty("verdict").GetString());
        Assert.Equal("better", verdicts["psnr"]);
        Assert.Equal("better", verdicts["spectrum.high"]);
        Assert.Equal("better", verdicts["fwd.high"]);
        Assert.All(root.GetProperty("differences").EnumerateArray(), d => Assert.True(d.GetProperty("paired").GetBoolean()));
        Assert.Equal(outcome.Out, RetouchInProcess.Run([.. arguments, "--batch-size", "64"]).Out);

        var text = RetouchInProcess.Run([.. arguments[..^1]]).Out;
        Assert.Contains($"Differences to {In("softer")}", text);
        var named = RetouchInProcess.Run([.. arguments[..^1], "--names", "start", "after training"]).Out;
        Assert.Contains("Differences to start", named);
        Assert.Equal(text.Replace(In("softer"), "start", StringComparison.Ordinal).Count('\n'), named.Count('\n'));
        Assert.DoesNotContain(In("soft"), named);
        Assert.Matches(@"\npsnr +" + In("soft") + @" +[\d.]+ \[[\d.]+, [\d.]+\] +yes +better\n", text);
    }

    [Fact]
    public void A_report_of_named_folders_states_their_paths()
    {
        string[] compared = ["compare", In("softer"), In("soft"), "--reference", In("real"), "--size", "32", "--count", "4"];
        var outcome = RetouchInProcess.Run([.. compared, "--metrics", "psnr", "--names", "start", "trained", "--output", In("named")]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var html = File.ReadAllText(In("named", "report.html"));
        Assert.Contains("Compared: start, trained", html);
        Assert.Contains($"<span class=\"summary\">{In("soft")}</span>", html);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Compare_writes_a_report_with_its_protocol_and_for_TensorBoard()
    {
        var outcome = RetouchInProcess.Run([
            "compare",
            In("softer"),
            In("soft"),
            "--reference",
            In("real"),
            "--size",
            "32",
            "--count",
            "55",
            "--resamples",
            "100",
            "--seed",
            "5",
            "--output",
            In("out"),
            "--tensorboard",
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains("report: " + In("out", "report.html"), outcome.Out);
        var html = File.ReadAllText(In("out", "report.html"));
        Assert.Contains("Compared: softer, soft", html);
        Assert.Contains("depends on their number", html);
        Assert.Contains("55 of 60, drawn with seed 5", html);
        Assert.Contains("100 resamples, seed 5", html);
        Assert.Contains("Differences to softer", html);
        Assert.DoesNotMatch("(src|href)=\"http", html);
        // Command for reproduction.
        Assert.Contains($"retouch compare {In("softer")} {In("soft")} --reference {In("real")} --size 32 --count 55", html);
        // The numbers of the page equal those of the JSON.
        using var json = JsonDocument.Parse(
            RetouchProcess
                .Run([
                    "compare",
                    In("softer"),
                    In("soft"),
                    "--reference",
                    In("real"),
                    "--size",
                    "32",
                    "--count",
                    "55",
                    "--resamples",
                    "100",
                    "--seed",
                    "5",
                    "--json",
                ])
                .Out
        );
        var fwd = json
            .RootElement.GetProperty("sets")[1]
            .GetProperty("figures")
            .EnumerateArray()
            .First(f => f.GetProperty("name").GetString() == "fwd")
            .GetProperty("value")
            .GetDouble();
        var csv = Directory.EnumerateFiles(In("out", "report-data"), "01-*.csv").Select(File.ReadAllText).Single();
        Assert.Contains(fwd.ToString("R", System.Globalization.CultureInfo.InvariantCulture)[..10], csv);
        string[] events =
        [
            .. Directory
                .EnumerateFiles(In("out", "tensorboard"), "events.out.tfevents.*", SearchOption.AllDirectories)
                .Order(StringComparer.Ordinal),
        ];
        Assert.Equal(
            [
                "01-" + Retouch.Evaluation.Reports.ReportWriter.Slug(In("softer")),
                "02-" + Retouch.Evaluation.Reports.ReportWriter.Slug(In("soft")),
            ],
            events.Select(static file => Path.GetFileName(Path.GetDirectoryName(file)))
        );
        Assert.All(
            events,
            static file => Assert.Contains("interval, low end/fwd.high", System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(file)))
        );
    }

    [Fact]
    public void TensorBoard_without_an_output_folder_is_rejected()
    {
        var outcome = RetouchInProcess.Run(["evaluate", "--images", In("soft"), "--reference", In("real"), "--tensorboard"]);
        Assert.Equal((2, ""), (outcome.ExitCode, outcome.Out));
        Assert.Contains("--tensorboard writes into the folder of --output", outcome.Error);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Evaluate_measures_an_autoencoders_reconstructions()
    {
        var vae = Path.Combine(GoldenFolder(), "autoencoder_kl_2level");
        string[] arguments = ["evaluate", "--autoencoder", vae, "--reference", In("real"), "--count", "6", "--metrics", "psnr", "--json"];
        var outcome = RetouchInProcess.Run(arguments);
        // Progress lines appear after five seconds, which a loaded machine can exceed.
        string[] said = [.. outcome.Error.Split('\n').Where(static line => !line.Contains(" pictures (", StringComparison.Ordinal))];
        Assert.Equal((0, ""), (outcome.ExitCode, string.Concat(said)));
        using var json = JsonDocument.Parse(outcome.Out);
        var set = json.RootElement.GetProperty("sets")[0];
        Assert.Contains("decoded by AutoencoderKl", set.GetProperty("preparation").GetString());
        Assert.Equal(6, set.GetProperty("count").GetInt32());
        var figures = set.GetProperty("figures")
            .EnumerateArray()
            .ToDictionary(f => f.GetProperty("name").GetString()!, f => f.GetProperty("value").GetDouble());
        // Reconstructions with random weights are about as far from the pictures as unrelated ones. The mean of logarithms is at most the
        // logarithm of the mean.
        Assert.InRange(figures["psnr"], 3, 20);
        Assert.True(figures["psnr"] >= 10 * Math.Log10(255 * 255 / figures["mse"]) - 1e-9);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Errors_are_reported_with_their_exit_code()
    {
        void Fails(int code, string message, params string[] arguments)
        {
            var outcome = RetouchInProcess.Run(arguments);
            Assert.Equal((code, ""), (outcome.ExitCode, outcome.Out));
            Assert.Contains(message, outcome.Error);
        }

        Fails(2, "Unknown metric 'fib'", "evaluate", "--images", In("soft"), "--reference", In("real"), "--metrics", "fib");
        Fails(2, "either --images or --autoencoder", "evaluate", "--reference", In("real"));
        Fails(
            2,
            "either --images or --autoencoder",
            "evaluate",
            "--reference",
            In("real"),
            "--images",
            In("soft"),
            "--autoencoder",
            In("soft")
        );
        Fails(3, "config.json", "evaluate", "--reference", In("real"), "--autoencoder", In("soft"));
        Fails(2, "--reference", "evaluate", "--images", In("soft"));
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(In("mine")).FullName, "options.json"), "{}");
        Fails(
            2,
            "is not empty and contains no earlier report",
            "evaluate",
            "--images",
            In("soft"),
            "--reference",
            In("real"),
            "--output",
            In("mine")
        );
        Fails(2, "1 names for 2 folders", "compare", In("soft"), In("softer"), "--reference", In("real"), "--names", "one");
        Fails(2, "two names are equal", "compare", In("soft"), In("softer"), "--reference", In("real"), "--names", "one", "one");
        Fails(2, "at least two folders", "compare", In("soft"), "--reference", In("real"));
        Fails(
            2,
            "--resamples is 5; it must lie in [100, 100000]",
            "evaluate",
            "--images",
            In("soft"),
            "--reference",
            In("real"),
            "--resamples",
            "5"
        );
        string[] soft = ["evaluate", "--images", In("soft"), "--metrics", "sharpness"];
        Fails(2, "--statistics has an effect only", [.. soft, "--statistics", In("real.npz")]);
        Fails(2, "--level has an effect only with the metric fwd", [.. soft, "--level", "2"]);
        Fails(3, "nowhere", "evaluate", "--images", In("nowhere"), "--reference", In("real"));
        PictureFile.Save(Picture.Filled(40, 40, Rgb.White), Path.Combine(In("soft"), "odd.png"));
        Fails(3, "'odd.png'", "evaluate", "--images", In("soft"), "--reference", In("real"));
        File.WriteAllText(Path.Combine(In("soft"), "odd.png"), "no picture");
        Fails(3, "odd.png", "evaluate", "--images", In("soft"), "--reference", In("real"), "--size", "32");
    }

    private static string GoldenFolder()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            var candidate = Path.Combine(at.FullName, "tests", "goldens");
            if (Directory.Exists(candidate))
                return candidate;
        }

        throw new DirectoryNotFoundException("tests/goldens");
    }

    private string In(params string[] parts) => Path.Combine([_folder, .. parts]);

    private void Save(string name, int index, Picture picture)
    {
        Directory.CreateDirectory(In(name));
        PictureFile.Save(picture, Path.Combine(In(name), $"{index:D4}.png"));
    }
}
