using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

public sealed class DecodePlanTests
{
    private static readonly double[] Times = [0.9, 0.2, 0.6, 0.95, 0.1];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Micro_batches_do_not_change_the_result(int decodeBatch)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            Perceptual = new() { Weight = 3 },
            Pixel = new() { Weight = 2 },
        };
        var (total, gradient) = new Step(Times, outliers: true).Differentiate(new ObjectiveSet(options, decoder));
        decoder.Calls.Clear();
        var (cutTotal, cutGradient) = new Step(Times, outliers: true).Differentiate(
            new ObjectiveSet(options with { DecodeBatch = decodeBatch }, decoder)
        );
        Assert.Equal(total, cutTotal, 1e-12);
        Assert.All(gradient.Zip(cutGradient), p => Assert.Equal(p.First, p.Second, 1e-12));
        Assert.All(decoder.Calls, c => Assert.InRange(c.Samples, 1, decodeBatch));
    }

    [Fact]
    public void The_injected_gradient_equals_that_of_the_full_graph()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new Step(Times);
        var (_, gradient) = step.Differentiate(
            new ObjectiveSet(
                new()
                {
                    LatentWeight = 0,
                    Pixel = new() { Weight = 1 },
                },
                decoder
            )
        );
        var inputs = step.Inputs();
        var plain = (decoder.Decode(new(inputs.Noisy.Value)) - decoder.Decode(new(inputs.Remix))).Square().Mean();
        var expected = Autograd.Grad([plain], [step.Prediction])[0]!.ToArray<double>();
        Assert.All(expected.Zip(gradient), p => Assert.Equal(p.First, p.Second, 1e-14));
    }

    [Fact]
    public void Only_samples_below_the_gate_are_decoded()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new Step(Times);
        var inputs = step.Inputs();
        new ObjectiveSet(
            new()
            {
                Perceptual = new()
                {
                    Weight = 3,
                    TargetFrequencies = 0,
                    ErrorScale = 1,
                },
            },
            decoder
        ).Evaluate(inputs);
        Assert.Equal([3L, 3L], decoder.Calls.Select(static c => c.Samples));
        Assert.Equal([false, true], decoder.Calls.Select(static c => c.Recorded));
        double[] First(Tensor x) => x.Detach().Reshape([5L, -1]).Select(1, 0).ToArray<double>();
        var (clean, estimate) = (First(inputs.Noisy.Clean.Value), First(inputs.Estimate.Z0.Value));
        Assert.Equal([clean[1], clean[2], clean[4], estimate[1], estimate[2], estimate[4]], decoder.Seen);
    }

    [Fact]
    public void Without_active_samples_the_decoder_does_not_run()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new Step([0.9, 0.99]);
        foreach (var reduction in Enum.GetValues<SampleReduction>())
        {
            var set = new ObjectiveSet(
                new()
                {
                    Perceptual = new() { Weight = 3, SampleReduction = reduction },
                },
                decoder
            );
            var terms = set.Evaluate(step.Inputs());
            Assert.Empty(decoder.Calls);
            Assert.Equal(0, terms.Terms[1].Raw);
            Assert.Equal(terms.Terms[0].Weighted, terms.Total.Item(), 1e-14);
            Assert.All(step.Differentiate(set).Gradient, static g => Assert.True(double.IsFinite(g)));
        }
    }

    [Fact]
    public void Layers_beyond_the_deepest_tap_are_not_computed()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        new ObjectiveSet(
            new()
            {
                Perceptual = new() { Weight = 3, Taps = [0, 1] },
            },
            decoder
        ).Evaluate(new Step(Times).Inputs());
        Assert.Equal([2, 2, 0, 0, 0], decoder.Stages);
    }

    [Fact]
    public void The_default_taps_are_all_but_the_last()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        new ObjectiveSet(new() { Perceptual = new() { Weight = 3 } }, decoder).Evaluate(new Step(Times).Inputs());
        Assert.Equal([2, 2, 2, 0, 0], decoder.Stages);
    }

    [Fact]
    public void Objectives_on_the_same_latents_share_one_decode()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            Perceptual = new()
            {
                Weight = 3,
                TargetFrequencies = 0,
                ErrorScale = 1,
                Gate = GateKind.None,
            },
            Pixel = new()
            {
                Weight = 2,
                Estimate = PixelEstimate.X0,
                Target = PixelTarget.Decoding,
            },
        };
        var together = new Step(Times);
        var (total, gradient) = together.Differentiate(new ObjectiveSet(options, decoder));
        Assert.Equal(2, decoder.Calls.Count);
        Assert.All(decoder.Calls, static c => Assert.Equal([0, 1, 2], c.Request.Taps));
        Assert.All(decoder.Calls, static c => Assert.True(c.Request.Rgb));
        var (lpl, lplGradient) = new Step(Times).Differentiate(new ObjectiveSet(options with { Pixel = null }, decoder));
        var (pixel, pixelGradient) = new Step(Times).Differentiate(
            new ObjectiveSet(options with { Perceptual = null, LatentWeight = 0 }, decoder)
        );
        Assert.Equal(lpl + pixel, total, 1e-12);
        Assert.All(Enumerable.Range(0, gradient.Length), k => Assert.Equal(lplGradient[k] + pixelGradient[k], gradient[k], 1e-12));
    }

    [Fact]
    public void Samples_above_the_gate_are_decoded_without_taps()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        new ObjectiveSet(
            new()
            {
                Perceptual = new()
                {
                    Weight = 3,
                    TargetFrequencies = 0,
                    ErrorScale = 1,
                },
                Pixel = new() { Weight = 2, Estimate = PixelEstimate.X0 },
            },
            decoder
        ).Evaluate(new Step(Times, images: true).Inputs());
        var recorded = decoder.Calls.Where(static c => c.Recorded).ToList();
        Assert.Equal([(2L, 0), (3L, 3)], recorded.Select(static c => (c.Samples, c.Request.Taps.Count)).Order());
        Assert.All(recorded, static c => Assert.True(c.Request.Rgb));
        var target = Assert.Single(decoder.Calls, static c => !c.Recorded);
        Assert.Equal((3L, false), (target.Samples, target.Request.Rgb));
    }

    [Fact]
    public void The_image_can_be_the_only_layer()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            LatentWeight = 0,
            Perceptual = new()
            {
                Weight = 1,
                Taps = [],
                Rgb = true,
                TargetFrequencies = 0,
                ErrorScale = 1,
                Normalisation = Normalisation.None,
                Mask = false,
                Gate = GateKind.None,
                DepthWeighting = DepthWeighting.Uniform,
            },
        };
        var perceptual = new Step(Times).Differentiate(new ObjectiveSet(options, decoder));
        var pixel = new Step(Times).Differentiate(
            new ObjectiveSet(
                new()
                {
                    LatentWeight = 0,
                    Pixel = new()
                    {
                        Weight = 1,
                        Estimate = PixelEstimate.X0,
                        Target = PixelTarget.Decoding,
                    },
                },
                decoder
            )
        );
        Assert.Equal(pixel.Total, perceptual.Total, 1e-12);
        Assert.All(pixel.Gradient.Zip(perceptual.Gradient), static p => Assert.Equal(p.First, p.Second, 1e-12));
    }

    [Fact]
    public void Low_precision_features_are_compared_in_float32()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        using var generator = Generator.Create(Device.Cpu, 3);
        var target = Ops.Randn([2, 3, 6, 6], generator).To(DType.BFloat16);
        var estimate = Ops.Randn([2, 3, 6, 6], generator).To(DType.BFloat16);
        var leaf = estimate.Detach();
        leaf.RequiresGrad = true;
        var objective = new LatentPerceptualObjective(new() { Taps = [0] }, decoder);
        var loss = objective.PerSample(new DecodedSamples(new([leaf], null), new([target], null), null), new HealthLog(scope));
        var wide = objective.PerSample(
            new DecodedSamples(new([estimate.To(DType.Float32)], null), new([target.To(DType.Float32)], null), null),
            new HealthLog(scope)
        );
        Assert.Equal(DType.Float32, loss.DType);
        Assert.Equal(wide.ToArray<float>(), loss.ToArray<float>());
        Assert.Equal(DType.BFloat16, Autograd.Grad([loss.Sum()], [leaf])[0]!.DType);
    }
}
