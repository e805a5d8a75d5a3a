using Retouch.Autoencoders;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

public sealed class LowFrequenciesTests
{
    private const int Height = 5;
    private const int Width = 8;
    private static readonly double[] Times = [0.2, 0.7, 0.9];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(6)]
    public void The_cosine_coefficients_are_the_target_s_below_the_count_and_the_estimate_s_above(int count)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var target = Ops.Randn([1, 1, Height, Width], generator, dtype: DType.Float64);
        var estimate = Ops.Randn([1, 1, Height, Width], generator, dtype: DType.Float64);
        var mixed = LowFrequencies.Replace(estimate, target, count).ToArray<double>();
        for (var i = 0; i < Height; i++)
        {
            for (var j = 0; j < Width; j++)
            {
                var expected = (i < count && j < count ? target : estimate).ToArray<double>();
                Assert.Equal(Coefficient(expected, i, j), Coefficient(mixed, i, j), 1e-12);
            }
        }
    }

    [Fact]
    public void With_all_frequencies_of_both_sides_the_result_is_the_target()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var target = Ops.Randn([2, 3, Height, Width], generator, dtype: DType.Float64);
        var estimate = Ops.Randn([2, 3, Height, Width], generator, dtype: DType.Float64);
        var mixed = LowFrequencies.Replace(estimate, target, 100);
        Assert.All(target.ToArray<double>().Zip(mixed.ToArray<double>()), static p => Assert.Equal(p.First, p.Second, 1e-12));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void The_loss_s_gradient_equals_differences_and_has_no_low_frequencies(int count)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(Perceptual(count) with { LatentWeight = 0 }, decoder);
        var step = new Step(Times);
        step.CheckGradient(set);
        var gradient = step.Differentiate(set).Gradient;
        Assert.Contains(gradient, static g => Math.Abs(g) > 1e-6);
        foreach (var map in gradient.Chunk(36))
            Assert.Equal(0, map.Sum(), 1e-12);
    }

    [Fact]
    public void An_estimate_that_differs_from_the_target_by_colour_only_has_no_loss()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        using var generator = Generator.Create(Device.Cpu, 5);
        var target = new Latent(Ops.Randn([1, 2, 6, 6], generator, dtype: DType.Float64));
        var estimate = new Latent(target.Value + 0.7);
        double Loss(int count) =>
            LatentPerceptualLoss.Between(decoder, target, estimate, new() { TargetFrequencies = count, Weight = 1 }).Item();
        Assert.True(Loss(0) > 1e-3);
        Assert.Equal(0, Loss(1), 1e-12);
    }

    [Fact]
    public void With_a_mask_the_mean_is_that_of_the_masked_part()
    {
        using var scope = TensorScope.Enter();
        var target = Tensor.From([1.0, 2, 3, 10], 1, 1, 2, 2);
        var estimate = Tensor.From([5.0, 8, 3, 4], 1, 1, 2, 2);
        // Left half: means 2 and 4.
        var mask = new LossMask(Tensor.From([1f, 0, 1, 0], 1, 1, 2, 2), Normalise: true);
        Assert.Equal([3, 6, 1, 2], LowFrequencies.Replace(estimate, target, 1, mask).ToArray<double>());
    }

    [Fact]
    public void The_default_is_the_mean_in_training_and_none_between_given_latents()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new Step(Times);
        ObjectiveSet Set(int? count) =>
            new(
                new()
                {
                    Perceptual = new() { Weight = 3, TargetFrequencies = count },
                },
                decoder
            );
        Assert.Equal(step.Differentiate(Set(1)).Gradient, step.Differentiate(Set(null)).Gradient);
        Assert.NotEqual(step.Differentiate(Set(0)).Total, step.Differentiate(Set(null)).Total);
        var inputs = step.Inputs();
        double Between(int? count) =>
            LatentPerceptualLoss
                .Between(decoder, inputs.Noisy.Clean, inputs.Estimate.Z0, new() { Weight = 1, TargetFrequencies = count })
                .Item();
        Assert.Equal(Between(0), Between(null));
        Assert.NotEqual(Between(1), Between(null));
    }

    [Fact]
    public void Terms_with_and_without_target_frequencies_add_up()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var pixel = new PixelOptions
        {
            Weight = 2,
            Estimate = PixelEstimate.X0,
            Target = PixelTarget.Decoding,
        };
        var step = new Step(Times);
        var both = step.Differentiate(new ObjectiveSet(Perceptual(1) with { Pixel = pixel }, decoder));
        var perceptual = step.Differentiate(new ObjectiveSet(Perceptual(1), decoder));
        var decoded = step.Differentiate(new ObjectiveSet(new() { LatentWeight = 0, Pixel = pixel }, decoder));
        Assert.Equal(perceptual.Total + decoded.Total, both.Total, 1e-12);
        for (var k = 0; k < both.Gradient.Length; k++)
            Assert.Equal(perceptual.Gradient[k] + decoded.Gradient[k], both.Gradient[k], 1e-12);
    }

    private static ObjectiveOptions Perceptual(int count) =>
        new()
        {
            Perceptual = new() { Weight = 3, TargetFrequencies = count },
        };

    /// <summary>Coefficient of the DCT-II, by its definition.</summary>
    private static double Coefficient(double[] map, int i, int j)
    {
        var sum = 0.0;
        for (var y = 0; y < Height; y++)
        {
            for (var x = 0; x < Width; x++)
                sum += map[(y * Width) + x] * Math.Cos(Math.PI * (y + 0.5) * i / Height) * Math.Cos(Math.PI * (x + 0.5) * j / Width);
        }

        return sum;
    }
}
