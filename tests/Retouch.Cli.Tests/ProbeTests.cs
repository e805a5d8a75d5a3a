using System.Text.Json.Nodes;
using Retouch.Cli.Commands;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Cli.Tests;

/// <summary>Networks evaluated by <c>retouch probe</c> equal results of other libraries.</summary>
public sealed class ProbeTests : IDisposable
{
    // A probe runs a network once.
    private static readonly string[] OfOtherInputs = ["out.sample_b", "out.sample_no_mask"];

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-probe-").FullName;

    private string Results => Path.Combine(_folder, "out.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("dit")]
    [InlineData("unet_sd15")]
    [InlineData("unet_sdxl")]
    [InlineData("pixart")]
    [InlineData("sd3")]
    [InlineData("sd35")]
    [InlineData("autoencoder_kl_2level")]
    [InlineData("autoencoder_kl_16ch_noquant")]
    [InlineData("clip_text")]
    [InlineData("clip_text_with_projection")]
    [InlineData("clip_vision_with_projection")]
    [InlineData("t5_encoder")]
    [InlineData("autoencoder_tiny")]
    [InlineData("asymmetric_autoencoder_kl")]
    public void Every_output_intermediate_and_gradient_of_the_golden_is_reproduced(string name)
    {
        using var scope = TensorScope.Enter();
        var golden = GoldenFolder(name);
        var outcome = RetouchInProcess.Run([
            "probe",
            "--model",
            golden,
            "--inputs",
            Path.Combine(golden, "io.safetensors"),
            "--output",
            Results,
            "--intermediates",
            "--json",
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var document = JsonNode.Parse(File.ReadAllText(Path.Combine(golden, "case.json")))!;
        using var expected = SafetensorsFile.Open(Path.Combine(golden, "io.safetensors"));
        using var actual = SafetensorsFile.Open(Results);
        var compared = 0;
        foreach (var key in expected.Names.Where(static n => !n.StartsWith("in.", StringComparison.Ordinal) && !OfOtherInputs.Contains(n)))
        {
            var reference = expected.Read(key);
            Assert.Equal(expected.ShapeOf(key), actual.ShapeOf(key));
            var excess = (actual.Read(key) - reference).Abs() - ((double)document["rtol"]! * reference.Abs());
            Assert.True(excess.Max().Item() <= (double)document["tensors"]![key]!["atol"]!, key);
            compared++;
        }

        Assert.True(compared >= 6);
        var written = Output.Read<List<ProbeCommand.Written>>(outcome.Out);
        Assert.Equal(actual.Names.Order(StringComparer.Ordinal), written.Select(static w => w.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Only_outputs_are_written_by_default()
    {
        using var scope = TensorScope.Enter();
        var golden = GoldenFolder("dit");
        var inputs = Path.Combine(_folder, "in.safetensors");
        using (var file = SafetensorsFile.Open(Path.Combine(golden, "io.safetensors")))
            SafetensorsWriter.Write(
                inputs,
                ((string[])["in.sample", "in.timestep", "in.class_labels"]).Select(n => KeyValuePair.Create(n, file.Read(n)))
            );
        var outcome = RetouchInProcess.Run(["probe", "--model", golden, "--inputs", inputs, "--output", Results]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Equal("out.sample Float32 [3, 8, 8, 8]\n", outcome.Out);
        using var actual = SafetensorsFile.Open(Results);
        Assert.Equal(["out.sample"], actual.Names);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Missing_inputs_are_errors_without_output()
    {
        using var scope = TensorScope.Enter();
        var golden = GoldenFolder("dit");
        var inputs = Path.Combine(_folder, "in.safetensors");
        SafetensorsWriter.Write(inputs, [KeyValuePair.Create("in.sample", Ops.Zeros([1, 4, 8, 8]))]);
        AssertRefused(["probe", "--model", golden, "--inputs", inputs, "--output", Results], "in.timestep");
        AssertRefused(["probe", "--model", golden, "--inputs", Path.Combine(_folder, "none"), "--output", Results], "none");
        AssertRefused(["probe", "--model", _folder, "--inputs", inputs, "--output", Results], "config.json");
        Assert.False(File.Exists(Results));
        Assert.Equal(2, RetouchInProcess.Run(["probe", "--model", golden]).ExitCode);
    }

    private static void AssertRefused(string[] arguments, string expected)
    {
        var outcome = RetouchInProcess.Run(arguments);
        Assert.Equal(3, outcome.ExitCode);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.Empty(outcome.Out);
    }

    internal static string GoldenFolder(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "tests", "goldens", name);
            if (Directory.Exists(candidate))
                return candidate;
        }

        throw new DirectoryNotFoundException($"tests/goldens/{name}");
    }
}
