using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>The loss between two latents without a training step.</summary>
public sealed class LatentPerceptualLossTests
{
    private static readonly double[] Times = [0.2, 0.9, 0.6];

    [Theory]
    [InlineData("squared", FeatureDifference.Squared)]
    [InlineData("absolute", FeatureDifference.Absolute)]
    public void The_preset_reference_equals_the_public_script(string variant, FeatureDifference difference)
    {
        using var scope = TensorScope.Enter();
        using var inputs = GoldenCase.Open("lpl_outliers");
        using var expected = GoldenCase.Open("lpl_reference");
        using var autoencoder = Load(inputs);
        var leaf = inputs.ReadLeaf("in.z0_hat");
        var loss = LatentPerceptualLoss.Between(
            autoencoder,
            new Latent(autoencoder.Scale(inputs.Read("in.z0"))),
            new Latent(autoencoder.Scale(leaf)),
            LatentPerceptualPresets.Reference with
            {
                Difference = difference,
            }
        );
        expected.Check($"out.{variant}.total", loss);
        expected.Check($"grad.{variant}.z0_hat", Autograd.Grad([loss], [leaf])[0]!);
    }

    [Fact]
    public void Gated_by_noise_level_it_equals_an_independent_implementation()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("lpl_clean");
        using var autoencoder = Load(golden);
        var leaf = golden.ReadLeaf("in.z0_hat");
        var sigma = golden.Read("in.sigma");
        var loss = LatentPerceptualLoss.Between(
            autoencoder,
            new Latent(autoencoder.Scale(golden.Read("in.z0"))),
            new Latent(autoencoder.Scale(leaf)),
            LatentPerceptualPresets.Paper with
            {
                Taps = [0, 1, 2, 3, 4],
                Threshold = (double)golden.Document["params"]!["tau"]!,
                SampleReduction = SampleReduction.Active,
            },
            new NoiseLevel(sigma, sigma, sigma, sigma)
        );
        golden.Check("out.exp2.shared.attached.total", loss);
        golden.Check("grad.exp2.shared.attached.z0_hat", Autograd.Grad([loss], [leaf])[0]!);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_gradient_equals_finite_differences(bool absolute)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = absolute
            ? new LatentPerceptualOptions { Difference = FeatureDifference.Absolute, Rgb = true }
            : new LatentPerceptualOptions { Statistics = StatisticsSource.Own, StatisticsGradient = 1 };
        var (target, estimate) = Latents();
        Tensor Loss() => LatentPerceptualLoss.Between(decoder, target, estimate, options);
        var gradient = Autograd.Grad([Loss()], [estimate.Value])[0]!.ToArray<double>();
        FiniteDifferences.Check(estimate.Value, gradient, () => Loss().Item(), stride: 7);
    }

    [Theory]
    [InlineData(SampleReduction.Batch)]
    [InlineData(SampleReduction.Active)]
    public void It_equals_the_term_of_a_training_step(SampleReduction reduction)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new LatentPerceptualOptions
        {
            Weight = 3,
            TargetFrequencies = 1,
            ErrorScale = 0.5,
            Threshold = 2,
            SampleReduction = reduction,
        };
        var step = new Step(Times);
        var set = new ObjectiveSet(
            new()
            {
                LatentWeight = 0,
                Perceptual = options,
                DecodeBatch = 1,
            },
            decoder
        );
        var (total, expected) = step.Differentiate(set);
        var inputs = step.Inputs();
        var loss = LatentPerceptualLoss.Between(decoder, inputs.Noisy.Clean, inputs.Estimate.Z0, options, inputs.Noisy.Level);
        Assert.Equal(total / 3, loss.Item(), 1e-12);
        var gradient = Autograd.Grad([loss], [step.Prediction])[0]!.ToArray<double>();
        Assert.All(gradient.Zip(expected), static p => Assert.Equal(p.Second / 3, p.First, 1e-12));
        var losses = LatentPerceptualLoss.PerSample(decoder, inputs.Noisy.Clean, inputs.Estimate.Z0, options, inputs.Noisy.Level);
        Assert.Equal(loss.Item() * (reduction == SampleReduction.Active ? 2 : 3), losses.Sum().Item(), 1e-12);
        Assert.Equal(0, losses.ToArray<double>()[1]);
    }

    [Fact]
    public void Only_active_samples_are_decoded_and_the_target_has_no_graph()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var (target, estimate) = Latents();
        var losses = LatentPerceptualLoss.PerSample(decoder, target, estimate, level: Levels(1, 5, 2));
        Assert.Equal([(2L, false), (2L, true)], decoder.Calls.Select(static c => (c.Samples, c.Recorded)));
        var alone = LatentPerceptualLoss.PerSample(
            decoder,
            new Latent(target.Value.Narrow(0, 2, 1)),
            new Latent(estimate.Value.Narrow(0, 2, 1))
        );
        Assert.Equal(alone.Item(), losses.ToArray<double>()[2], 1e-12);

        decoder.Calls.Clear();
        var none = LatentPerceptualLoss.Between(decoder, target, estimate, level: Levels(4, 5, 6));
        Assert.Empty(decoder.Calls);
        Assert.Equal(0, none.Item());
        Assert.All(Autograd.Grad([none], [estimate.Value])[0]!.ToArray<double>(), static g => Assert.Equal(0, g));
    }

    [Fact]
    public void Latents_and_options_that_do_not_fit_are_errors()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var (target, estimate) = Latents();
        string Message(Latent a, Latent b, LatentPerceptualOptions? options = null, NoiseLevel? level = null) =>
            Assert.Throws<UsageException>(() => LatentPerceptualLoss.Between(decoder, a, b, options, level)).Message;
        Assert.Contains("[3, 2, 6, 6]", Message(target, new Latent(estimate.Value.Narrow(0, 0, 2))), StringComparison.Ordinal);
        var channels = new Latent(Ops.Zeros([1, 4, 6, 6]));
        Assert.Contains("must be [batch, 2, height, width]", Message(channels, channels), StringComparison.Ordinal);
        Assert.Contains("2 noise levels for 3 samples", Message(target, estimate, level: Levels(1, 2)), StringComparison.Ordinal);
        Assert.Contains(
            "startStep applies to a step of training",
            Message(target, estimate, new() { StartStep = 10 }),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "taps: this decoder has the taps 0 to 3",
            Message(target, estimate, new() { Taps = [4] }),
            StringComparison.Ordinal
        );
        Assert.Contains("quantile is 0.7", Message(target, estimate, new() { Quantile = 0.7 }), StringComparison.Ordinal);
    }

    private static NoiseLevel Levels(params double[] sigma)
    {
        var tensor = Tensor.From(sigma);
        return new NoiseLevel(tensor, tensor, tensor, tensor);
    }

    /// <summary>Target and estimate of three samples, in float64.</summary>
    private static (Latent Target, Latent Estimate) Latents()
    {
        using var generator = Generator.Create(Device.Cpu, 3);
        var target = Ops.Randn([3, 2, 6, 6], generator, dtype: DType.Float64);
        var estimate = (target + (0.5 * Ops.Randn([3, 2, 6, 6], generator, dtype: DType.Float64))).Detach();
        estimate.RequiresGrad = true;
        return (new Latent(target), new Latent(estimate));
    }

    private static AutoencoderKl Load(GoldenCase golden)
    {
        var network = new AutoencoderKl(AutoencoderKlConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }
}
