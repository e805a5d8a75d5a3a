using System.Text.Json.Nodes;
using Retouch.Cli.Tests.Demo;
using Retouch.Experiments.Inspection;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Cli.Tests;

/// <summary><c>retouch inspect</c> on all types of files and folders.</summary>
public sealed class InspectTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-inspect-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public void A_pipeline_is_shown_by_component_with_training_memory()
    {
        TinyPipeline.Save(_folder);
        var report = Inspect(_folder, "--batch-size", "3");
        Assert.Equal("pipeline", report.Kind);
        Assert.Equal(["transformer", "vae"], report.Components.Select(static c => c.Name));
        Assert.Equal(["DiTTransformer2DModel", "AutoencoderKL"], report.Components.Select(static c => c.Class));
        Assert.All(report.Components, static c => Assert.Empty(c.Problems));
        var (denoiser, vae) = (report.Components[0], report.Components[1]);
        Assert.Equal(
            ["decoder.mid_block", "decoder.up_blocks.0", "decoder.up_blocks.1", "decoder.up_blocks.2"],
            vae.Taps.Select(static t => t.Name)
        );
        Assert.Equal([1, 2, 4, 4], vae.Taps.Select(static t => t.Scale));
        Assert.Equal(CountIn(Path.Combine(_folder, "vae")), vae.Parameters);
        Assert.Equal(vae.Parameters, vae.Types["Float32"]);
        Assert.Equal(
            ("DDIMScheduler", "v_prediction", 1000),
            (report.Scheduler!.Class, report.Scheduler.Prediction, report.Scheduler.TrainSteps)
        );
        var training = report.Training!;
        Assert.Equal(4 * (denoiser.Parameters + vae.Parameters), training.Weights);
        Assert.Equal(
            (4 * denoiser.Parameters, 8 * denoiser.Parameters, 4 * denoiser.Parameters),
            (training.Gradients, training.Optimiser, training.Averages)
        );
        Assert.Equal(
            training.Weights + training.Gradients + training.Optimiser + training.Averages + training.EstimatedActivations,
            training.Total
        );
        Assert.Equal(3 * Inspect(_folder).Training!.EstimatedActivations, training.EstimatedActivations);
        Assert.True(training.FitsMainMemory);
        Assert.Equal(
            Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories).Sum(static f => new FileInfo(f).Length),
            report.BytesOnDisk
        );
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Taps_are_measured_and_options_proposed()
    {
        TinyPipeline.Save(Path.Combine(_folder, "tiny"));
        var outcome = RetouchInProcess.Run([
            "inspect",
            Path.Combine(_folder, "tiny"),
            "--taps",
            "--size",
            "32",
            "--count",
            "4",
            "--levels",
            "3",
            "--output",
            Path.Combine(_folder, "taps"),
            "--json",
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var result = JsonNode.Parse(outcome.Out)!;
        Assert.Equal(4, result["study"]!["taps"]!.AsArray().Count);
        Assert.Equal(3, result["study"]!["levels"]!.AsArray().Count);
        var options = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "taps", "options.json")))!;
        Assert.Equal((double)result["proposal"]!["weight"]!, (double)options["objective"]!["perceptual"]!["weight"]!);
        Assert.True(File.Exists(Path.Combine(_folder, "taps", "report.html")));
    }

    [Theory]
    [InlineData("--taps --batch-size 2", "--batch-size has no effect with --taps")]
    [InlineData("--count 4", "--count has no effect without --taps")]
    [InlineData("--taps", "--output is missing")]
    public void Options_without_effect_are_rejected(string given, string message)
    {
        TinyPipeline.Save(_folder);
        var outcome = RetouchInProcess.Run(["inspect", _folder, .. given.Split(' ')]);
        Assert.Equal((2, ""), (outcome.ExitCode, outcome.Out));
        Assert.Contains(message, outcome.Error);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Mismatched_keys_and_unknown_components_are_reported()
    {
        TinyPipeline.Save(_folder);
        var weights = Path.Combine(_folder, "vae", "diffusion_pytorch_model.safetensors");
        using (TensorScope.Enter())
        {
            List<KeyValuePair<string, Tensor>> changed;
            using (var file = SafetensorsFile.Open(weights))
                changed =
                [
                    .. file
                        .Names.Where(static n => n != "encoder.conv_in.bias")
                        .Select(n => KeyValuePair.Create(n, n == "decoder.conv_out.bias" ? Ops.Zeros([5L]) : file.Read(n).Clone())),
                    KeyValuePair.Create("nobody.knows", Ops.Zeros([1L])),
                ];
            SafetensorsWriter.Write(weights, changed);
        }

        Directory.CreateDirectory(Path.Combine(_folder, "unknown"));
        File.WriteAllText(Path.Combine(_folder, "unknown", "config.json"), """{ "_class_name": "VideoThing" }""");
        var index = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "model_index.json")))!;
        index["unknown"] = new JsonArray("diffusers", "VideoThing");
        File.WriteAllText(Path.Combine(_folder, "model_index.json"), index.ToJsonString());
        var report = Inspect(_folder);
        var problems = report.Components.Single(static c => c.Name == "vae").Problems;
        Assert.Equal(3, problems.Count);
        Assert.Contains(problems, static p => p.StartsWith("missing: encoder.conv_in.bias", StringComparison.Ordinal));
        Assert.Contains(problems, static p => p.StartsWith("wrong shape: decoder.conv_out.bias is [5]", StringComparison.Ordinal));
        Assert.Contains("unexpected: nobody.knows", problems);
        Assert.Contains(
            "VideoThing",
            Assert.Single(report.Components.Single(static c => c.Name == "unknown").Problems),
            StringComparison.Ordinal
        );
        File.Delete(weights);
        Assert.Contains(
            "has no diffusion_pytorch_model.safetensors",
            Assert.Single(Inspect(_folder).Components.Single(static c => c.Name == "vae").Problems),
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("dtypes_strides.pth")]
    [InlineData("nested.ckpt")]
    public void A_tensor_file_is_shown_by_type(string name)
    {
        var report = Inspect(Golden("pickle", name));
        Assert.Equal("tensor file", report.Kind);
        var expected = JsonNode.Parse(File.ReadAllText(Golden("pickle", "case.json")))!.AsObject();
        Assert.Equal(expected.Count, report.Tensors!.Count);
        Assert.Equal(expected.Sum(static p => p.Value!["values"]!.AsArray().Count), report.Tensors.Elements);
        Assert.Equal(6, report.Tensors.Types["BFloat16"]);
        Assert.Null(report.Tensors.LoraRanks);
        Assert.Null(report.Training);
    }

    [Fact]
    public void A_LoRA_file_is_recognised_by_its_keys()
    {
        var path = Path.Combine(_folder, "lora.safetensors");
        using (TensorScope.Enter())
        {
            SafetensorsWriter.Write(
                path,
                ((string[])["a", "b"]).SelectMany(static n =>
                    new[]
                    {
                        KeyValuePair.Create($"unet.{n}.lora_A.weight", Ops.Zeros([4L, 16])),
                        KeyValuePair.Create($"unet.{n}.lora_B.weight", Ops.Zeros([16L, 4])),
                    }
                )
            );
        }

        var report = Inspect(path);
        Assert.Equal("LoRA file", report.Kind);
        Assert.Equal(2, Assert.Single(report.Tensors!.LoraRanks!).Value);
        Assert.Equal("4", report.Tensors.LoraRanks!.Keys.Single());
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_component_is_shown_as_text()
    {
        var outcome = RetouchInProcess.Run(["inspect", Golden("autoencoder_tiny")]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains("AutoencoderTiny", outcome.Out, StringComparison.Ordinal);
        Assert.Contains("tap 3  decoder.layers.14", outcome.Out, StringComparison.Ordinal);
        Assert.Contains("8x the latent", outcome.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("training", outcome.Out, StringComparison.Ordinal);
        Assert.Contains("estimated", RetouchInProcess.Run(["inspect", Golden("dit")]).Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_files_are_input_errors()
    {
        foreach (var path in new[] { Path.Combine(_folder, "nowhere"), Golden("pickle", "foreign.pt"), _folder, Golden("README.md") })
        {
            var outcome = RetouchInProcess.Run(["inspect", path]);
            Assert.Equal(3, outcome.ExitCode);
            Assert.Contains(path, outcome.Error, StringComparison.Ordinal);
        }

        Assert.Equal(2, RetouchInProcess.Run(["inspect", _folder, "--batch-size", "0"]).ExitCode);
    }

    private static InspectReport Inspect(params string[] arguments)
    {
        var outcome = RetouchInProcess.Run(["inspect", .. arguments, "--json"]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return Output.Read<InspectReport>(outcome.Out);
    }

    private static long CountIn(string folder)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, "diffusion_pytorch_model.safetensors"));
        return file.Entries.Values.Sum(static e => e.Length) / sizeof(float);
    }

    private static string Golden(params string[] parts)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine([folder.FullName, "tests", "goldens", .. parts]);
            if (Path.Exists(candidate))
                return candidate;
        }

        throw new DirectoryNotFoundException(string.Join('/', parts));
    }
}
