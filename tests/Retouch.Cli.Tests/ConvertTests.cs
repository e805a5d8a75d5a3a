using Retouch.Cli.Commands;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Cli.Tests;

/// <summary><c>retouch convert</c> from the command line.</summary>
public sealed class ConvertTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-convert-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_pipeline_is_written_in_half_precision_and_shards()
    {
        using var scope = TensorScope.Enter();
        var source = Path.Combine(_folder, "tiny");
        Demo.TinyPipeline.Save(source);
        var target = Path.Combine(_folder, "half");
        var outcome = RetouchInProcess.Run([
            "convert",
            source,
            "--output",
            target,
            "--dtype",
            "float16",
            "--max-shard-size",
            "20KB",
            "--json",
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var result = Output.Read<ConvertCommand.Result>(outcome.Out);
        Assert.Equal(["transformer", "vae"], result.Components.Select(static c => c.Name));
        var shards = Directory.GetFiles(Path.Combine(target, "vae"), "*.safetensors");
        Assert.True(shards.Length > 1);
        using var original = SafetensorsFile.Open(Path.Combine(source, "vae", "diffusion_pytorch_model.safetensors"));
        var seen = 0;
        foreach (var shard in shards)
        {
            using var file = SafetensorsFile.Open(shard);
            foreach (var name in file.Names)
            {
                Assert.Equal(original.Read(name).To(DType.Float16).ToArray<float>(), file.Read(name).ToArray<float>());
                seen++;
            }
        }

        Assert.Equal(original.Entries.Count, seen);
        Assert.Equal(seen, result.Components[1].Tensors);
        Refused(2, "not empty", ["convert", source, "--output", target, "--dtype", "float32"]);
    }

    [Fact]
    public void Invalid_options_are_rejected()
    {
        var (folder, target) = (Directory.CreateDirectory(Path.Combine(_folder, "any")).FullName, Path.Combine(_folder, "new"));
        Refused(2, "--dtype", ["convert", folder, "--output", target]);
        Refused(
            2,
            "--tokenizer, --prediction",
            ["convert", folder, "--output", target, "--dtype", "float16", "--tokenizer", "x", "--prediction", "epsilon"]
        );
        Refused(2, "such as 5GB", ["convert", folder, "--output", target, "--max-shard-size", "much"]);
        Refused(3, "neither model_index.json nor config.json", ["convert", folder, "--output", target, "--dtype", "float16"]);
        Refused(3, "does not exist", ["convert", Path.Combine(_folder, "none.safetensors"), "--output", target]);
        Assert.False(Directory.Exists(target));
    }

    private static void Refused(int code, string expected, string[] arguments)
    {
        var outcome = RetouchInProcess.Run(arguments);
        Assert.Equal(code, outcome.ExitCode);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.Empty(outcome.Out);
    }
}
