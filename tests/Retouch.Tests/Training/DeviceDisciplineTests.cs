using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.PixArt;
using Retouch.Denoisers.Sd3;
using Retouch.Denoisers.UNet;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Tests.Denoisers;
using Retouch.Tests.Evaluation;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Training.Options;

namespace Retouch.Tests.Training;

/// <summary>
/// A complete step of every denoiser and objective on a device other than the CPU: no mixed devices, no reads other than those listed
/// here, and the CPU's result.
/// </summary>
[Collection(PretendedDevice.Collection)]
public sealed class DeviceDisciplineTests
{
    /// <summary>
    /// Types that may read from the device in a step, each in one transfer after the computation of the loss: losses, weights, health
    /// metrics; and before the update the gradient norm, and terms of an estimated step size.
    /// </summary>
    private static readonly string[] Reading = ["Optimiser", "Prodigy", "GradientNorms", "HealthLog", "ObjectiveSet"];

    private const int Batch = 3;

    public static TheoryData<string, string> Steps =>
        new()
        {
            { "dit", "{}" },
            { "dit", """{ "perceptual": {} }""" },
            { "dit", """{ "perceptual": { "gate": "snr", "threshold": 0.2, "normalisation": "separate" }, "pixel": {} }""" },
            { "dit", """{ "perceptual": { "gate": "timestep", "threshold": 600 }, "decodeBatch": 1, "checkpointDecoder": true }""" },
            { "dit", """{ "pixel": { "space": "latent" } }""" },
            { "dit", """{ "latentWeighting": "minSnr" }""" },
            { "unet", """{ "perceptual": {} }""" },
            { "unet_sd15", """{ "perceptual": {} }""" },
            { "mmdit", """{ "perceptual": {} }""" },
            { "pixart", """{ "perceptual": {} }""" },
            { "sd3", """{ "perceptual": {} }""" },
        };

    [Theory]
    [MemberData(nameof(Steps))]
    public void A_step_has_only_permitted_reads_and_equals_the_cpu(string kind, string objective)
    {
        var expected = Run(kind, objective, Device.Cpu);
        using var transfers = PretendedDevice.Watch(Reading);
        var launched = PretendedDevice.Launches;
        var found = Run(kind, objective, PretendedDevice.Device);
        Assert.Equal(objective.Contains("perceptual", StringComparison.Ordinal), PretendedDevice.Launches > launched);
        Assert.Subset(Reading.ToHashSet(StringComparer.Ordinal), transfers.Reads);
        AssertSame(expected, found, 1e-4);
    }

    [Theory]
    [InlineData("""{ "kind": "adamw8bit", "eightBit": { "block": 64, "smallest": 100 } }""")]
    [InlineData("""{ "kind": "adafactor", "adafactor": { "relativeStep": true } }""")]
    [InlineData("""{ "kind": "prodigy", "prodigy": { "start": 1e-3 } }""")]
    [InlineData("""{ "kind": "schedule-free" }""")]
    [InlineData("""{ "kind": "muon" }""")]
    public void A_step_of_every_optimiser_has_only_permitted_reads(string optimiser)
    {
        var expected = Run("dit", "{}", Device.Cpu, optimiser);
        using var transfers = PretendedDevice.Watch(Reading);
        var found = Run("dit", "{}", PretendedDevice.Device, optimiser);
        Assert.Subset(Reading.ToHashSet(StringComparer.Ordinal), transfers.Reads);
        Assert.Equal(optimiser.Contains("prodigy", StringComparison.Ordinal), transfers.Reads.Contains("Prodigy"));
        AssertSame(expected, found, 1e-4);
    }

    [CudaTheory]
    [MemberData(nameof(Steps))]
    public void A_step_on_a_GPU_equals_the_cpu(string kind, string objective) =>
        AssertSame(Run(kind, objective, Device.Cpu), Run(kind, objective, Device.Cuda()), 1e-3);

    [CudaTheory]
    [InlineData("""{ "kind": "adamw8bit", "eightBit": { "block": 64, "smallest": 100 } }""", 1e-3)]
    [InlineData("""{ "kind": "adafactor", "adafactor": { "relativeStep": true } }""", 1e-3)]
    [InlineData("""{ "kind": "prodigy", "prodigy": { "start": 1e-3 } }""", 1e-3)]
    [InlineData("""{ "kind": "schedule-free" }""", 1e-3)]
    [InlineData("""{ "kind": "muon" }""", 1e-2)] // bfloat16
    public void A_step_of_every_optimiser_on_a_GPU_equals_the_cpu(string optimiser, double tolerance) =>
        AssertSame(Run("dit", "{}", Device.Cpu, optimiser), Run("dit", "{}", Device.Cuda(), optimiser), tolerance);

    [Fact]
    public void A_planted_read_is_caught()
    {
        using var scope = TensorScope.Enter();
        var x = Ops.Ones([2, 3]).To(PretendedDevice.Device);
        using var transfers = PretendedDevice.Watch(Reading);
        Assert.Contains("the host reads", Assert.Throws<TorchException>(() => x.Sum().Item()).Message, StringComparison.Ordinal);
        Assert.Equal([nameof(DeviceDisciplineTests)], transfers.Reads);
    }

    [Fact]
    public void A_planted_read_in_backward_is_caught()
    {
        using var scope = TensorScope.Enter();
        var x = Ops.Ones([2]).To(PretendedDevice.Device);
        x.RequiresGrad = true;
        var thread = Environment.CurrentManagedThreadId;
        var ran = thread;
        var y = Autograd.Function(
            [x],
            [x.Detach() * 1],
            g =>
            {
                ran = Environment.CurrentManagedThreadId;
                g[0]!.Sum().Item();
                return g;
            }
        )[0];
        using var transfers = PretendedDevice.Watch();
        Assert.Contains(
            "the host reads",
            Assert.Throws<TorchException>(() => Autograd.Backward(y.Sum())).Message,
            StringComparison.Ordinal
        );
        Assert.NotEqual(thread, ran);
    }

    [Fact]
    public void Operators_that_mix_devices_fail()
    {
        using var scope = TensorScope.Enter();
        var (here, there) = (Ops.Ones([2, 2]), Ops.Ones([2, 2]).To(PretendedDevice.Device));
        Assert.Throws<TorchException>(() => here + there);
        Assert.Throws<TorchException>(() => there.Matmul(here));
        Assert.Throws<TorchException>(() => there.IndexSelect(0, Tensor.From([0L])));
        var (image, kernel) = (there.View([1, 1, 2, 2]), here.View([1, 1, 2, 2]));
        Assert.Throws<TorchException>(() => image.Conv2d(kernel, null, [1, 1], [0, 0], [1, 1], 1));
    }

    // Float32 sums in another order; the loss after three steps includes Adam's division by small moments.
    private static void AssertSame((double Loss, double Norm, double After) a, (double Loss, double Norm, double After) b, double tolerance)
    {
        TestTensors.Close(a.Loss, b.Loss, tolerance * Math.Abs(a.Loss), "the loss");
        TestTensors.Close(a.Norm, b.Norm, 10 * tolerance * a.Norm, "the gradient's norm");
        TestTensors.Close(a.After, b.After, 30 * tolerance * Math.Abs(a.After), "the loss after three steps");
    }

    private static (double Loss, double Norm, double After) Run(string kind, string objective, Device device, string optimised = "{}")
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 7);
        using var network = Make(kind);
        network.Parameters.Initialise(generator, device);
        using (Autograd.NoGrad())
        {
            // New transformers predict zero because of zero gates.
            foreach (var parameter in network.Parameters.All)
                parameter.Value.AddInPlace((Ops.Randn(parameter.Shape, generator) * 0.05).To(device));
        }

        var json = new JsonObject { ["objective"] = JsonNode.Parse(objective), ["optimiser"] = JsonNode.Parse(optimised) };
        var bound = OptionsFile.Bind<TrainingOptions>(json, "test");
        var options = bound.Objective!;
        var scheduler = new JsonObject { ["_class_name"] = "DDIMScheduler", ["prediction_type"] = "v_prediction" };
        using var autoencoder = Autoencoder(network.LatentChannels, generator, device);
        autoencoder.Parameters.RequireGrad(false);
        network.Parameters.RequireGrad(true);
        network.CheckpointActivations = options.CheckpointDecoder;
        var objectives = new ObjectiveSet(options, autoencoder);
        using var optimiser = bound.Optimiser.Create(network.Parameters.Trained, 1);
        using var average = new WeightAverage(network.Parameters.Trained, new WeightAverageOptions { Decay = 0.9 });
        var formulation = FormulationFactory.FromSchedulerConfig(scheduler);
        var model = new DenoiserModel(network, formulation);
        long[] shape = [Batch, network.LatentChannels, 8, 8];
        var images = Ops.Randn([Batch, 3, 16, 16], generator).To(device);
        double? loss = null,
            norm = null;
        var last = 0.0;
        for (var step = 0; step < 3; step++)
        {
            using var inner = TensorScope.Enter();
            var level = formulation.LevelsAt([30, 300, 700], device);
            var latent = new Latent(Ops.Randn(shape, generator).To(device));
            var noisy = formulation.AddNoise(latent, Ops.Randn(shape, generator).To(device), level);
            var denoised = model.At(noisy.Value, level, For(network, generator, device));
            var result = objectives.Evaluate(new ObjectiveInputs(formulation, noisy, denoised, images));
            Autograd.Backward(result.Total);
            var found = optimiser.GradientNorm();
            optimiser.Step(1e-3, 0.5, [average]);
            optimiser.ZeroGrad();
            last = result.Terms.Sum(static t => t.Weighted);
            loss ??= last;
            norm ??= found;
        }

        return (loss!.Value, norm!.Value, last);
    }

    private static IDenoiser Make(string kind) =>
        kind switch
        {
            "dit" => new DiTTransformer2D(DiTTests.Small),
            "unet" => new UNet2DCondition(UNetClassTests.Small),
            "mmdit" => new MmDitTransformer2D(MmDitTests.Tiny),
            "pixart" => new PixArtTransformer2D(PixArtTests.Tiny),
            "sd3" => new Sd3Transformer2D(Sd3Tests.Tiny),
            _ => DenoiserMemoryTests.Make(kind),
        };

    private static AutoencoderKl Autoencoder(int channels, Generator generator, Device device)
    {
        var network = new AutoencoderKl(
            new AutoencoderKlConfig
            {
                LatentChannels = channels,
                BlockOutChannels = [8, 16],
                LayersPerBlock = 1,
                NormNumGroups = 4,
            }
        );
        network.Parameters.Initialise(generator, device);
        return network;
    }

    private static Condition For(IDenoiser network, Generator generator, Device device) =>
        network.TextWidth is not { } width
            ? new Condition(Tensor.From([1L, 3, 2]).To(device))
            : new Condition
            {
                Text = Ops.Randn([Batch, 5, width], generator).To(device),
                Pooled = network is Sd3Transformer2D sd3 ? Ops.Randn([Batch, sd3.Config.PooledProjectionDim], generator).To(device) : null,
            };
}
