using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Data.Scenes;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Samplers;
using Retouch.Tests.Pipelines;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Extensions;

/// <summary>The programs of docs/library.md and docs/packages.md, compiled and run. They leave no tensors behind.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed partial class LibraryPageTests : IDisposable
{
    private static readonly string Root = RootFolder();
    private static readonly Dictionary<string, string> Programs = PagePrograms.Of(Page("library") + Page("packages"));

    private readonly TemporaryFolder _folder = new();

    private static string Demo => Path.Combine(Root, "demo", "model");

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("speed", "slow")]
    public void Sampling_by_class()
    {
        var output = Run("Load a model and sample", Demo, _folder["pictures"]);
        Assert.Equal($"2 pictures of 64 x 64 pixels in {_folder["pictures"]}", Assert.Single(output));
        using var pipeline = LatentDiffusionPipeline.Load(Demo, Device.Cpu);
        Same(
            pipeline,
            new PipelineSampling
            {
                Seeds = [0, 1],
                Labels = [0, 1],
                Width = 64,
                Height = 64,
                Steps = 10,
                Guidance = new(1.5),
            }
        );
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Sampling_by_prompt()
    {
        TextModel.Write(_folder["model"]);
        var output = Run("Load a model and sample", _folder["model"], _folder["pictures"]);
        Assert.Equal($"2 pictures of 16 x 16 pixels in {_folder["pictures"]}", Assert.Single(output));
        using var scope = TensorScope.Enter();
        using var pipeline = LatentDiffusionPipeline.Load(_folder["model"], Device.Cpu);
        using var encoders = pipeline.LoadPromptEncoders(Device.Cpu);
        string[] prompts = ["a red fox in the snow", "a lighthouse"];
        Same(
            pipeline,
            new PipelineSampling
            {
                Seeds = [0, 1],
                Conditions = [.. prompts.Select(p => encoders.Encoder.Encode([p]).Condition)],
                Unconditional = encoders.Encoder.Encode(["blurred"]).Condition,
                Width = 16,
                Height = 16,
                Steps = 10,
                Guidance = new(7.5),
            }
        );
    }

    [Fact]
    public void The_latent_perceptual_loss()
    {
        SceneFolder.Write(_folder.Path, new ProceduralScenes(3, 64, 1), static _ => "scene.png");
        var output = Run("The latent perceptual loss between two latents", Demo, _folder["scene.png"]);
        Assert.Equal(2, output.Length);
        var (before, after) = (Number(output[0], "loss"), Number(output[1], "after a step"));
        Assert.InRange(after, 0.01, 0.99 * before);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void The_loss_between_two_pictures()
    {
        var scenes = new ProceduralScenes(3, 64, 2);
        SceneFolder.Write(_folder.Path, scenes, static k => $"{k}.png");
        var output = Run("The libraries", Demo, _folder["0.png"], _folder["1.png"]);
        Assert.InRange(Number(Assert.Single(output), "loss"), 0.1, 100);
        Assert.Equal(["loss 0"], Run("The libraries", Demo, _folder["0.png"], _folder["0.png"]));
    }

    [Fact]
    public void The_page_of_packages_names_their_version()
    {
        var version = Regex.Match(File.ReadAllText(Path.Combine(Root, "Directory.Build.props")), "<Version>(.*)</Version>").Groups[1];
        Assert.Contains($"Include=\"Retouch\" Version=\"{version}\"", Page("packages"), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_training_run()
    {
        var scenes = new ProceduralScenes(3, 64, 20);
        SceneFolder.Write(_folder["data"], scenes, k => $"{scenes.Classes[scenes[k].Label!.Value]}/{k:00}.png");
        var output = Run("A training run", Demo, _folder["data"], _folder["run"]);
        var model = Directory.GetDirectories(_folder["run"], "model-average-*").Single();
        Assert.Matches($@"^3 steps, loss \d+\.\d{{4}}; transformer in {Regex.Escape(model)}$", Assert.Single(output));
        Assert.Equal(3, File.ReadAllLines(_folder["run/metrics.jsonl"]).Length);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Measuring_two_folders()
    {
        SceneFolder.Write(_folder["real"], new ProceduralScenes(1, 64, 40), static k => $"{k:00}.png");
        SceneFolder.Write(_folder["before"], new ProceduralScenes(2, 64, 40), static k => $"{k:00}.png");
        SceneFolder.Write(_folder["after"], new ProceduralScenes(2, 64, 40), static k => $"{k:00}.png");
        var output = Run("Measure two folders", _folder["real"], _folder["before"], _folder["after"]);
        Assert.Equal(2, output.Count(static line => line.Contains(": fwd ", StringComparison.Ordinal)));
        Assert.Contains("sharpness: +0, Undecided", output);
    }

    [Fact]
    public void Merging_a_lora()
    {
        using var scope = TensorScope.Enter();
        const string Layer = "transformer_blocks.0.attn1.to_q";
        Tensor expected;
        using (var pipeline = LatentDiffusionPipeline.Load(Demo, Device.Cpu))
        using (var generator = Generator.Create(Device.Cpu, 4))
        using (Autograd.NoGrad())
        using (var adapters = LowRankAdapters.Attach(pipeline.Denoiser.Parameters, new AdapterOptions { Rank = 2, Alpha = 1 }))
        {
            adapters.Parameters.Initialise(generator, Device.Cpu);
            var (a, b) = (adapters.Parameters.Find($"{Layer}.lora_A.weight")!.Value, adapters.Parameters.Find($"{Layer}.lora_B.weight")!);
            b.Value.CopyInPlace(Ops.Randn(b.Shape, generator));
            LoraFile.Write(_folder[LoraFile.Name], adapters, "transformer");
            expected = pipeline.Denoiser.Parameters.Find($"{Layer}.weight")!.Value + (0.8 * 0.5 * b.Value.Matmul(a));
        }

        var output = Run("Read and merge a LoRA", Demo, _folder.Path, _folder["merged"]);
        Assert.Contains($"{Layer}: scale 1", output);
        using var merged = LatentDiffusionPipeline.Load(_folder["merged"], Device.Cpu);
        var difference = (merged.Denoiser.Parameters.Find($"{Layer}.weight")!.Value - expected).Abs().Max().Item();
        Assert.InRange(difference, 0, 1e-6);
    }

    [Fact]
    public void Every_program_is_tested()
    {
        var tests = File.ReadAllText(Path.Combine(Root, "tests", "Retouch.Tests", "Extensions", "LibraryPageTests.cs"));
        Assert.NotEmpty(Programs);
        Assert.All(Programs.Keys, heading => Assert.Contains($"Run(\"{heading}\"", tests, StringComparison.Ordinal));
        Assert.Throws<InvalidOperationException>(() => PagePrograms.Compile("planted", "Console.WriteLin();"));
    }

    /// <summary>Runs a program of the page, which must free its tensors.</summary>
    private static string[] Run(string heading, params string[] arguments)
    {
        var before = Tensor.LiveCount;
        var output = PagePrograms.Run(heading, Programs[heading], arguments);
        Assert.Equal(before, Tensor.LiveCount);
        return output;
    }

    /// <summary>Asserts that the written pictures are those of a request.</summary>
    private void Same(LatentDiffusionPipeline pipeline, PipelineSampling request)
    {
        var expected = PipelineSampler.Sample(pipeline, request, Device.Cpu);
        var files = Directory.GetFiles(_folder["pictures"]).Order(StringComparer.Ordinal);
        Assert.All(expected.Zip(files, static (p, file) => p.SameAs(PictureFile.Load(file))), Assert.True);
        Assert.Equal(expected.Count, files.Count());
    }

    private static double Number(string line, string label) =>
        double.Parse(Regex.Match(line, $@"^{label} (\d+\.\d+)").Groups[1].Value, CultureInfo.InvariantCulture);

    private static string Page(string name) => File.ReadAllText(Path.Combine(Root, "docs", name + ".md"));

    private static string RootFolder()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Retouch.slnx")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests run outside the repository.");
        return folder;
    }
}
