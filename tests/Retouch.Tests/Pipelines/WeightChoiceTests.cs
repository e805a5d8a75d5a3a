using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Training.Telemetry;

namespace Retouch.Tests.Pipelines;

/// <summary>Choice of files in a folder with several sets of weights, in the order of diffusers and of transformers.</summary>
public sealed class WeightChoiceTests : IDisposable
{
    private const string Diffusers = WeightFiles.Stem;
    private const string Transformers = WeightFiles.TransformersStem;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(Diffusers, null, new[] { "d.safetensors.index.json", "d.safetensors", "d.bin", "d.bin.index.json" })]
    [InlineData(
        Diffusers,
        "fp16",
        new[] { "d.safetensors.index.fp16.json", "d.safetensors.fp16.index.json", "d.fp16.safetensors", "d.fp16.bin" }
    )]
    [InlineData(
        Transformers,
        null,
        new[] { "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json" }
    )]
    [InlineData(Transformers, "fp16", new[] { "model.fp16.safetensors", "model.safetensors.index.fp16.json", "pytorch_model.fp16.bin" })]
    public void Each_goes_before_all_that_follow(string stem, string? variant, string[] order)
    {
        string[] names = [.. order.Select(n => n.StartsWith("d.", StringComparison.Ordinal) ? stem + n[1..] : n)];
        for (var first = 0; first < names.Length; first++)
        {
            foreach (var file in Directory.GetFiles(_folder.Path))
                File.Delete(file);
            foreach (var name in names[first..])
                File.WriteAllText(_folder[name], "");
            // A plain file, or another variant, has no effect.
            File.WriteAllText(_folder[variant is null ? $"{stem}.fp16.safetensors" : $"{stem}.safetensors"], "");
            var choice = WeightChoice.Find(_folder.Path, variant, stem);
            Assert.Equal(names[first], Path.GetFileName(choice.Path));
            Assert.Equal(names[first].EndsWith(".json", StringComparison.Ordinal), choice.IsIndex);
            Assert.All(names[(first + 1)..], name => Assert.Contains(name, choice.Note!, StringComparison.Ordinal));
            Assert.Equal(first == names.Length - 1, choice.Note is null);
        }
    }

    [Fact]
    public void Without_plain_files_the_only_variant_is_used()
    {
        File.WriteAllText(_folder[$"{Diffusers}.fp16.safetensors"], "");
        Assert.Equal($"{Diffusers}.fp16.safetensors", Path.GetFileName(WeightChoice.Find(_folder.Path, null, Diffusers).Path));
        Assert.Equal("fp16", WeightChoice.OrPlain(_folder.Path, "fp16"));
        File.WriteAllText(_folder[$"{Diffusers}.safetensors"], "");
        Assert.Null(WeightChoice.OrPlain(_folder.Path, "bf16"));
        File.Delete(_folder[$"{Diffusers}.safetensors"]);
        File.WriteAllText(_folder[$"{Diffusers}.bf16.safetensors"], "");
        Assert.Contains(
            "fp16, " + "bf16",
            Assert.Throws<InputException>(() => WeightChoice.Find(_folder.Path, null, Diffusers)).Message,
            StringComparison.Ordinal
        );
    }
}
