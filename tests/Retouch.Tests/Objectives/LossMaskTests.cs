using Retouch.Autoencoders;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>Weights of pixels in the loss.</summary>
public sealed class LossMaskTests
{
    private static readonly double[] Times = [0.2, 0.5, 0.3];
    private const int Side = 6;
    private const int Pixels = 4 * Side;

    private static readonly ObjectiveOptions All = new()
    {
        Perceptual = new() { Weight = 3, Gate = GateKind.None },
        Pixel = new() { Weight = 2 },
    };

    [Fact]
    public void On_a_coarser_grid_a_weight_is_the_mean_of_its_pixels()
    {
        using var scope = TensorScope.Enter();
        var mask = new LossMask(Tensor.From([1f, 0, 0, 0, 1, 1, 0, 0], 1, 1, 2, 4), Normalise: true);
        Assert.Equal([0.75, 0], mask.At(1, 2, DType.Float64).ToArray<double>());
        Assert.Equal([1f, 0, 0, 0, 1, 1, 0, 0], mask.At(2, 4, DType.Float32).ToArray<float>());
    }

    [Theory]
    [InlineData(true, 9)]
    [InlineData(false, 4.5 + (0.25 * 16 / 2))]
    public void A_half_mask_has_the_mean_of_its_half(bool normalise, double expected)
    {
        using var scope = TensorScope.Enter();
        // Left 9, right 16; weights 1 and 0, or 1 and ¼.
        var values = Tensor.From([9.0, 16, 9, 16], 1, 1, 2, 2);
        var mask = new LossMask(Tensor.From([1f, normalise ? 0f : 0.25f, 1f, normalise ? 0f : 0.25f], 1, 1, 2, 2), normalise);
        Assert.Equal(expected, mask.MeanOf(values).Item(), 1e-14);
    }

    [Fact]
    public void A_mask_of_ones_changes_nothing()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        foreach (var normalise in (bool[])[true, false])
        {
            var ones = new LossMask(Ops.Ones([Times.Length, 1, Pixels, Pixels]), normalise);
            var (plain, masked) = (Evaluate(All, decoder, null), Evaluate(All, decoder, ones));
            AssertClose(plain.Terms, masked.Terms);
            AssertClose(plain.Gradient, masked.Gradient);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_term_of_a_half_mask_is_the_mean_of_its_half(bool normalise)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = All with
        {
            Perceptual = new()
            {
                Weight = 3,
                TargetFrequencies = 0,
                ErrorScale = 1,
                Gate = GateKind.None,
                Normalisation = Normalisation.None,
                Mask = false,
            },
        };
        var inputs = new Step(Times).Inputs();
        var factor = normalise ? 1 : 0.5;
        var (decoded, target) = (Taps(decoder, inputs.Estimate.Z0.Value), Taps(decoder, inputs.Noisy.Clean.Value));
        // The layers' weights follow from the loss without a mask.
        var layers = Layers(options, decoder, inputs, null);
        double perceptual = 0;
        for (var l = 0; l < layers.Length; l++)
        {
            var error = (decoded[l] - target[l]).Square();
            var weight = layers[l] / error.Mean().Item();
            perceptual += weight * Left(error).Mean().Item() * factor;
        }

        var pixel = (decoder.Decode(new(inputs.Noisy.Value)) - decoder.Decode(new(inputs.Remix))).Square();
        double[] expected = [Left(inputs.Residual.Square()).Mean().Item() * factor, perceptual, Left(pixel).Mean().Item() * factor];
        AssertClose(expected, Evaluate(options, decoder, Half(normalise)).Terms);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void The_gradient_equals_central_differences(bool normalise, bool outliers)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = All with
        {
            Perceptual = new()
            {
                Weight = 3,
                Gate = GateKind.None,
                Mask = outliers,
                Statistics = StatisticsSource.Target,
                StatisticsGradient = null,
            },
        };
        var set = new ObjectiveSet(options, decoder);
        var step = new Step(Times, Side);
        var weights = Ops.Rand([Times.Length, 1, Pixels, Pixels], Generator.Create(Device.Cpu, 4));
        ObjectiveInputs Inputs() => step.Inputs() with { Mask = new(weights, normalise) };
        var gradient = Autograd.Grad([set.Evaluate(Inputs()).Total], [step.Prediction])[0]!.ToArray<double>();
        FiniteDifferences.Check(step.Prediction, gradient, () => set.Evaluate(Inputs()).Total.Item(), stride: 7);
    }

    [Fact]
    public void Micro_batches_do_not_change_the_result()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var mask = new LossMask(Ops.Rand([Times.Length, 1, Pixels, Pixels], Generator.Create(Device.Cpu, 4)), Normalise: true);
        var (whole, cut) = (Evaluate(All, decoder, mask), Evaluate(All with { DecodeBatch = 1 }, decoder, mask));
        AssertClose(whole.Terms, cut.Terms);
        AssertClose(whole.Gradient, cut.Gradient);
    }

    [Fact]
    public void Without_any_weight_loss_and_gradient_are_zero()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var nothing = new LossMask(Ops.Zeros([Times.Length, 1, Pixels, Pixels]), Normalise: true);
        var (terms, gradient) = Evaluate(All, decoder, nothing);
        Assert.All(terms.Concat(gradient), static x => Assert.Equal(0, x));
    }

    private static (double[] Terms, double[] Gradient) Evaluate(ObjectiveOptions options, ScriptedDecoder decoder, LossMask? mask)
    {
        var step = new Step(Times, Side);
        var terms = new ObjectiveSet(options, decoder).Evaluate(step.Inputs() with { Mask = mask });
        return ([.. terms.Terms.Select(static t => t.Raw)], Autograd.Grad([terms.Total], [step.Prediction])[0]!.ToArray<double>());
    }

    private static double[] Layers(ObjectiveOptions options, ScriptedDecoder decoder, ObjectiveInputs inputs, LossMask? mask)
    {
        var objective = new LatentPerceptualObjective(options.Perceptual!, decoder);
        var (estimate, target) = (Taps(decoder, inputs.Estimate.Z0.Value), Taps(decoder, inputs.Noisy.Clean.Value));
        var count = objective.LayerNames.Count;
        var samples = new DecodedSamples(new(estimate[..count], null), new(target[..count], null), null) { Mask = mask };
        using var scope = TensorScope.Enter();
        return Array.ConvertAll(objective.PerLayer(samples, new HealthLog(scope)), static l => l.Mean().Item());
    }

    private static void AssertClose(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), static p => Assert.Equal(p.First, p.Second, 1e-12));
    }

    private static Tensor[] Taps(ScriptedDecoder decoder, Tensor latents) =>
        [.. decoder.DecodeWithTaps(new Latent(latents.Detach()), new TapRequest([0, 1, 2], Rgb: false)).Features];

    private static Tensor Left(Tensor x) => x.Narrow(3, 0, x.Shape[3] / 2);

    private static LossMask Half(bool normalise)
    {
        long[] half = [Times.Length, 1, Pixels, Pixels / 2];
        return new(Ops.Cat([Ops.Ones(half), Ops.Zeros(half)], 3), normalise);
    }
}
