using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Json;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Extensions;

/// <summary>A denoiser defined outside the library is trained, saved, loaded and sampled like the others.</summary>
public sealed class NewDenoiserTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    static NewDenoiserTests() =>
        ComponentRegistry.Register(
            ComponentKind.Of(
                [TwoConvolutions.ClassName],
                static (json, origin) => new TwoConvolutions(new JsonMembers(json, origin).Integer("hidden")),
                static network => new JsonObject { ["_class_name"] = TwoConvolutions.ClassName, ["hidden"] = network.Hidden },
                static network => network.Parameters
            )
        );

    [Fact]
    public void It_computes_the_function_of_its_weights()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var network = new TwoConvolutions(3);
        using var generator = Generator.Create(Device.Cpu, 2);
        network.Parameters.Initialise(generator, Device.Cpu);
        var weights = network.Parameters.All.ToDictionary(static p => p.Name, static p => p.Value);
        // Only the centre of a 3 × 3 kernel: each pixel separately, the sum by hand.
        foreach (var name in (string[])["first.weight", "second.weight"])
        {
            var kernel = weights[name].Clone();
            weights[name].ZeroInPlace();
            weights[name].Select(2, 1).Select(2, 1).CopyInPlace(kernel.Select(2, 1).Select(2, 1));
        }

        var x = Ops.Randn([1, TwoConvolutions.Channels, 2, 2], generator);
        var hidden = (
            weights["first.weight"].Select(2, 1).Select(2, 1).Matmul(x.View([4, 4])) + weights["first.bias"].Unsqueeze(-1)
        ).Silu();
        var expected = weights["second.weight"].Select(2, 1).Select(2, 1).Matmul(hidden) + weights["second.bias"].Unsqueeze(-1);
        var found = network.Predict(x, Tensor.From([0f]), new Condition()).Value.View([4, 4]);
        Assert.True((found - expected).Abs().Max().Item() < 1e-6);
    }

    [Fact]
    public void It_is_saved_trained_loaded_and_sampled()
    {
        using (var generator = Generator.Create(Device.Cpu, 1))
        {
            var network = new TwoConvolutions(6);
            network.Parameters.Initialise(generator, Device.Cpu);
            var scheduler = new JsonObject { ["_class_name"] = "FlowMatchEulerDiscreteScheduler" };
            using var made = LatentDiffusionPipeline.Create(TinyModel.Autoencoder(), network, scheduler);
            made.Save(_folder["start"]);
        }

        var options = OptionsFile.Bind<TrainingOptions>(
            JsonNode
                .Parse(
                    $$"""
                    {
                      "task": "denoiser", "steps": 3, "model": { "path": "{{_folder["start"]}}" }, "objective": { "perceptual": {} },
                      "data": { "sceneCount": 4, "size": 16 }, "batch": { "size": 2 }, "averages": [],
                      "samples": { "every": 3, "count": 2, "guidance": 1 },
                      "optimiser": { "learningRate": 0.01 }
                    }
                    """
                )!
                .AsObject(),
            "test"
        );
        TrainingOutcome outcome;
        using (var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System))
        using (var progress = new ProgressProbe())
            outcome = run.Train(progress, CancellationToken.None);
        Assert.True(double.IsFinite(outcome.LastLoss));
        using var before = LatentDiffusionPipeline.Load(_folder["start"], Device.Cpu);
        using var after = LatentDiffusionPipeline.Load(outcome.Models[0], Device.Cpu);
        Assert.Equal(6, Assert.IsType<TwoConvolutions>(after.Denoiser).Hidden);
        var request = new PipelineSampling
        {
            Seeds = [1, 2],
            Steps = 4,
            Guidance = new(),
            Width = 16,
            Height = 16,
        };
        byte[] Draw(LatentDiffusionPipeline pipeline) =>
            [.. PipelineSampler.Sample(pipeline, request, Device.Cpu).SelectMany(static p => p.Pixels.ToArray())];
        Assert.Equal(Draw(after), Draw(after));
        Assert.NotEqual(Draw(before), Draw(after));
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Convolution, SiLU, convolution; independent of timestep and condition.</summary>
    private sealed class TwoConvolutions : IDenoiser
    {
        public const string ClassName = "RetouchTestConvolutions";
        public const int Channels = 4;
        private readonly Conv2d _first;
        private readonly Conv2d _second;

        public TwoConvolutions(int hidden)
        {
            Hidden = hidden;
            _first = new Conv2d(Parameters.Root / "first", Channels, hidden, 3, padding: 1);
            _second = new Conv2d(Parameters.Root / "second", hidden, Channels, 3, padding: 1);
        }

        public int Hidden { get; }

        public int LatentChannels => Channels;

        public int SampleSize => 4;

        public int? ClassCount => null;

        public int? TextWidth => null;

        public ParameterStore Parameters { get; } = new();

        public bool CheckpointActivations { get; set; }

        public Prediction Predict(Tensor noisy, Tensor time, Condition condition) =>
            new(_second.Forward(_first.Forward(noisy.To(Parameters.All[0].Value.DType)).Silu()));

        public void Dispose() => Parameters.Dispose();
    }
}
