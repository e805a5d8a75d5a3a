using Retouch.Autoencoders;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

public sealed class TargetMixTests
{
    private static readonly double[] Times = [0.2, 0.7, 0.9];

    [Fact]
    public void The_error_is_scaled_after_the_low_frequencies()
    {
        using var scope = TensorScope.Enter();
        var target = Tensor.From([1.0, 2, 3, 10], 1, 1, 2, 2);
        var estimate = Tensor.From([5.0, 8, 3, 4], 1, 1, 2, 2);
        Assert.Equal([2, 3.5, 3, 8.5], new TargetMix(0, 0.25).Apply(estimate, target).ToArray<double>());
        // Means 4 and 5: the errors without them are 3, 5, −1 and −7.
        Assert.Equal([2.5, 4.5, 2.5, 6.5], new TargetMix(1, 0.5).Apply(estimate, target).ToArray<double>());
        Assert.Equal(estimate.ToArray<double>(), TargetMix.None.Apply(estimate, target).ToArray<double>());
    }

    [Theory]
    [InlineData(0.25)]
    [InlineData(0.5)]
    public void The_loss_is_that_of_an_estimate_nearer_to_the_target(double scale)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        using var generator = Generator.Create(Device.Cpu, 5);
        var target = new Latent(Ops.Randn([2, 2, 6, 6], generator, dtype: DType.Float64));
        var estimate = new Latent(Ops.Randn([2, 2, 6, 6], generator, dtype: DType.Float64));
        var near = new Latent(target.Value + (scale * (estimate.Value - target.Value)));
        double[] Loss(Latent x, double? s) =>
            LatentPerceptualLoss.Between(decoder, target, x, new() { Weight = 1, ErrorScale = s }).Reshape([-1]).ToArray<double>();
        var (scaled, whole) = (Loss(estimate, scale), Loss(near, null));
        Assert.All(scaled.Zip(whole), static p => Assert.Equal(p.Second, p.First, 1e-12));
        Assert.NotEqual(Loss(estimate, 1), scaled);
    }

    [Theory]
    [InlineData(0, 0.2)]
    [InlineData(1, 0.5)]
    public void The_gradient_equals_differences(int frequencies, double scale)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        new Step(Times).CheckGradient(new ObjectiveSet(Perceptual(frequencies, scale) with { LatentWeight = 0 }, decoder));
    }

    [Fact]
    public void The_default_is_a_fifth_in_training_and_the_whole_error_between_given_latents()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new Step(Times);
        ObjectiveSet Set(double? scale) => new(Perceptual(null, scale), decoder);
        Assert.Equal(step.Differentiate(Set(0.2)).Gradient, step.Differentiate(Set(null)).Gradient);
        Assert.NotEqual(step.Differentiate(Set(1)).Total, step.Differentiate(Set(null)).Total);
        var inputs = step.Inputs();
        double Between(double? scale) =>
            LatentPerceptualLoss.Between(decoder, inputs.Noisy.Clean, inputs.Estimate.Z0, new() { Weight = 1, ErrorScale = scale }).Item();
        Assert.Equal(Between(1), Between(null));
    }

    private static ObjectiveOptions Perceptual(int? frequencies, double? scale) =>
        new()
        {
            Perceptual = new()
            {
                Weight = 3,
                TargetFrequencies = frequencies,
                ErrorScale = scale,
            },
        };
}
