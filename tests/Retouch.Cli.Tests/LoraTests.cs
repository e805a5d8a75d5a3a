using System.Text.Json.Nodes;
using Retouch.Cli.Tests.Demo;
using Retouch.Data;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Cli.Tests;

/// <summary>Adapters on the command line: sampling, merging by convert, in the layouts of diffusers and kohya.</summary>
public sealed class LoraTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-cli-lora-").FullName;

    public LoraTests()
    {
        TinyPipeline.Save(PathOf("model"));
        Write();
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_LoRA_file_gives_the_samples_of_the_merged_model()
    {
        var plain = await Draw("plain", "model");
        var laid = await Draw("laid", "model", "--lora", PathOf("kohya.safetensors"));
        Assert.NotEqual(plain, laid);
        Assert.Equal(laid, await Draw("diffusers", "model", "--lora", PathOf("adapters")));
        Assert.NotEqual(laid, await Draw("half", "model", "--lora", PathOf("adapters"), "--lora-scale", "0.5"));
        // Once with its scale, then with the negative scale.
        Assert.Equal(
            plain,
            await Draw(
                "none",
                "model",
                "--lora",
                PathOf("adapters"),
                "--lora",
                PathOf("kohya.safetensors"),
                "--lora-scale",
                "1",
                "--lora-scale",
                "-1"
            )
        );
        Assert.Equal(laid, await Draw("folder", "adapters"));
        await Done("convert", PathOf("model"), "--lora", PathOf("kohya.safetensors"), "--output", PathOf("merged"));
        Assert.Equal(laid, await Draw("from-merged", "merged"));
        await Done("convert", PathOf("adapters"), "--output", PathOf("shards"), "--max-shard-size", "20KB");
        Assert.Equal(laid, await Draw("from-shards", "shards"));
        Assert.True(Directory.GetFiles(PathOf("shards/transformer"), "*.safetensors").Length > 1);
        var line = JsonNode.Parse(File.ReadAllLines(PathOf("half/metadata.jsonl"))[0])!["lora"]![0]!;
        Assert.Equal((PathOf("adapters"), 0.5), ((string?)line["path"], (double?)line["scale"]));
    }

    [Theory]
    [InlineData(2, "give one for all", "--lora-scale", "2")]
    [InlineData(2, "give one for all", "--lora", "adapters", "--lora-scale", "2", "--lora-scale", "3")]
    [InlineData(2, "must be finite and other than 0", "--lora", "adapters", "--lora-scale", "0")]
    [InlineData(3, "does not exist", "--lora", "nowhere")]
    [InlineData(3, "contains no pytorch_lora_weights.safetensors", "--lora", "model")]
    [InlineData(3, "does not fit the network", "--lora", "model/vae/diffusion_pytorch_model.safetensors")]
    public async Task Invalid_options_are_rejected(int expected, string message, params string[] args)
    {
        var (code, _, error) = await Run([
            "sample",
            "--model",
            PathOf("model"),
            "--output",
            PathOf("refused"),
            .. args.Select((a, k) => k > 0 && args[k - 1] == "--lora" ? PathOf(a) : a),
        ]);
        Assert.Equal(expected, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(PathOf("refused")));
    }

    [Fact]
    public async Task Adapter_training_needs_only_a_rank()
    {
        await Done(
            "train",
            "--model",
            PathOf("model"),
            "--lora-rank",
            "2",
            "--steps",
            "1",
            "--size",
            "32",
            "--batch-size",
            "2",
            "--set",
            "data.sceneCount=4",
            "--set",
            "samples.every=0",
            "--set",
            "objective={}",
            "--output",
            PathOf("run")
        );
        Assert.Equal(PathOf("model"), AdapterFolder.RootOf(PathOf("run/model")));
        Assert.Equal("rank", (string?)JsonNode.Parse(File.ReadAllText(PathOf("run/options.json")))!["lora"]!.AsObject().First().Key);
        var (_, plan, _) = await Run([
            "train",
            "--model",
            PathOf("model"),
            "--lora-rank",
            "2",
            "--steps",
            "1",
            "--size",
            "32",
            "--batch-size",
            "2",
            "--set",
            "data.sceneCount=4",
            "--set",
            "objective={}",
            "--dry-run",
        ]);
        Assert.Contains("are frozen)", plan, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Adapters_are_inspected_with_their_base_model()
    {
        var outcome = RetouchInProcess.Run(["inspect", PathOf("adapters")]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains(": adapters, ", outcome.Out, StringComparison.Ordinal);
        Assert.Contains(" of rank 2", outcome.Out, StringComparison.Ordinal);
        Assert.Contains($"of the model {PathOf("model")}", outcome.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("  ! ", outcome.Out, StringComparison.Ordinal);
        File.Copy(
            PathOf("model/vae/diffusion_pytorch_model.safetensors"),
            PathOf("adapters/pytorch_lora_weights.safetensors"),
            overwrite: true
        );
        Assert.Contains("  ! '", RetouchInProcess.Run(["inspect", PathOf("adapters")]).Out, StringComparison.Ordinal);
    }

    private string PathOf(string name) => Path.Combine(_folder, name);

    /// <summary>The same adapters as a folder that names its model, and as a file in kohya's layout with alpha.</summary>
    private void Write()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var pipeline = LatentDiffusionPipeline.Load(PathOf("model"), Device.Cpu);
        var options = new AdapterOptions { Rank = 2, Targets = [AdapterOptions.AllLinear] };
        using var adapters = LowRankAdapters.Attach(pipeline.Denoiser.Parameters, options);
        using var generator = Generator.Create(Device.Cpu, 3);
        adapters.Parameters.Initialise(generator, Device.Cpu);
        foreach (var parameter in adapters.Parameters.All)
            parameter.Value.AddInPlace(Ops.Randn(parameter.Shape, generator) * 0.3);
        AdapterFolder.Save(PathOf("adapters"), adapters, "transformer", PathOf("model"), options);
        List<KeyValuePair<string, Tensor>> kohya = [];
        foreach (var (path, _) in adapters.Layers)
        {
            var name = $"lora_unet_{path.Replace('.', '_')}";
            kohya.Add(new($"{name}.lora_down.weight", adapters.Parameters.Find($"{path}.lora_A.weight")!.Value));
            // A power of two, so that the scale of 1/2 is reversed without rounding.
            kohya.Add(new($"{name}.lora_up.weight", adapters.Parameters.Find($"{path}.lora_B.weight")!.Value * 2));
            kohya.Add(new($"{name}.alpha", Ops.ScalarTensor(1.0, dtype: DType.Float32)));
        }

        SafetensorsWriter.Write(PathOf("kohya.safetensors"), kohya);
    }

    private async Task<byte[]> Draw(string folder, string model, params string[] args)
    {
        await Done(["sample", "--model", PathOf(model), "--output", PathOf(folder), "--count", "2", "--steps", "2", .. args]);
        var data = ImageFolder.Open(PathOf(folder));
        return [.. data.Load(0).Picture.Pixels.ToArray(), .. data.Load(1).Picture.Pixels.ToArray()];
    }

    private static async Task Done(params string[] args)
    {
        var (code, _, error) = await Run(args);
        Assert.True(code == 0, error);
    }

    private static async Task<(int Code, string Out, string Error)> Run(string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(CommandLine.Create(), args, output, error);
        return (code, output.ToString(), error.ToString());
    }
}
