using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Autoencoders;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training;

[Collection(LiveTensorCollection.Name)]
public sealed class MixedPrecisionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Unsupported_types_are_rejected_with_an_alternative()
    {
        var before = Tensor.LiveCount;
        Assert.Null(MixedPrecision.Missing(Device.Cpu, DType.Float32));
        Assert.Null(MixedPrecision.Missing(Device.Cpu, DType.BFloat16));
        var missing = MixedPrecision.Missing(Device.Cpu, DType.Float16);
        Assert.Equal(before, Tensor.LiveCount);
        var options = TinyRun.Denoiser(set: """{ "precision": "float16" }""");
        if (missing is null)
        {
            options.Validate();
            return;
        }

        var message = Assert.Throws<UsageException>(options.Validate).Message;
        Assert.Contains($"precision float16 is not available on cpu with libtorch {TorchRuntime.Version}", message);
        Assert.Contains("use bfloat16 or float32, or a GPU", message);
    }

    [Theory]
    [InlineData(DType.Float16, true, DType.Float32)]
    [InlineData(DType.Float16, false, DType.Float16)]
    [InlineData(DType.BFloat16, true, DType.BFloat16)]
    [InlineData(DType.Float32, true, DType.Float32)]
    public void A_decoder_that_overflows_in_float16_runs_in_float32(DType precision, bool overflows, DType expected) =>
        Assert.Equal(expected, DecoderPrecision.Of(precision, overflows));

    // If libtorch supports float16 on this processor (2.x).
    [Fact]
    public void An_overflowing_decoder_leaves_autocast_in_float16()
    {
        if (MixedPrecision.Missing(Device.Cpu, DType.Float16) is not null)
            return;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var network = AutoencoderKlTests.Load(golden, DType.Float32);
        // Finite in float32, beyond 65504 before the first normalisation.
        var weight = network.Parameters.Find("decoder.conv_in.weight")!.Value;
        weight.CopyInPlace(weight * 1e6);
        var latent = new Latent(golden.Read("in.latent"));
        float[] Decode(AutoencoderKl decoder, DType type)
        {
            using var cast = Autocast.Enter(Device.Cpu, type);
            return decoder.Decode(latent).ToArray<float>();
        }

        Assert.True(network.ForceUpcast);
        var expected = Decode(network, DType.Float32);
        Assert.All(expected, static x => Assert.True(float.IsFinite(x)));
        Assert.Equal(expected, Decode(network, DType.Float16));
        using var without = new AutoencoderKl(network.Config with { ForceUpcast = false });
        without.Parameters.CopyFrom(network.Parameters);
        Assert.Contains(Decode(without, DType.Float16), static x => !float.IsFinite(x));
    }

    [Fact]
    public void An_overflowing_autoencoder_cannot_be_trained_in_float16()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var component = Component.Create(AutoencoderKlTests.Load(golden));
        var options = new TrainingOptions { Task = TrainingTaskKind.Autoencoder };
        Assert.Contains(
            "bfloat16 or float32",
            Assert
                .Throws<UsageException>(() => new AutoencoderTask(component, options, Ops.Zeros([1, 3, 16, 16]), Device.Cpu, DType.Float16))
                .Message
        );
    }

    // If libtorch supports float16 on this processor (2.x), a complete run: denoiser in float16, scaled loss, decoder in float32.
    [Fact]
    public void A_run_in_float16_ends_near_one_in_float32()
    {
        if (MixedPrecision.Missing(Device.Cpu, DType.Float16) is not null)
            return;
        double Loss(string precision)
        {
            using var run = TrainingRun.Start(
                TinyRun.Denoiser(set: $$"""{ "steps": 6, "precision": "{{precision}}" }"""),
                _folder[precision],
                TimeProvider.System
            );
            return run.Train(new ProgressProbe(), CancellationToken.None).LastLoss;
        }

        var (wide, narrow) = (Loss("float32"), Loss("float16"));
        Assert.NotEqual(wide, narrow);
        Assert.InRange(narrow / wide, 0.95, 1.05);
    }
}
