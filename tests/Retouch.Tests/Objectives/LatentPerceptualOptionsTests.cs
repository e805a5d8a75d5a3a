using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>Effect of each option of the latent perceptual loss on its value.</summary>
public sealed class LatentPerceptualOptionsTests
{
    private static readonly double[] Times = [0.2, 0.6];

    [Fact]
    public void Layers_are_summed_or_averaged()
    {
        var sum = Raw(new() { Weight = 1 });
        Assert.Equal(sum / 3, Raw(new() { Weight = 1, LayerReduction = LayerReduction.Mean }), 1e-12);
        Assert.Equal(Raw(new() { Weight = 1, Taps = [0, 1, 2, 3] }), Raw(new() { Weight = 1, LastTap = true }));
    }

    [Fact]
    public void Noise_levels_are_weighted_by_the_formulas()
    {
        double Alone(int sample, NoiseWeighting weighting, double? gamma = null) =>
            Raw(
                new()
                {
                    Weight = 1,
                    NoiseWeighting = weighting,
                    MinSnrGamma = gamma,
                },
                [Times[sample]]
            );
        foreach (var k in new[] { 0, 1 })
        {
            var snr = Math.Pow((1 - Times[k]) / Times[k], 2);
            Assert.Equal(snr, Alone(k, NoiseWeighting.InverseVariance) / Alone(k, NoiseWeighting.None), 1e-10 * snr);
            var weights = Step
                .Flow.LossWeights(Step.Flow.LevelsAt([Times[k] * 1000], Device.Cpu), new(Retouch.Diffusion.LossWeightingKind.MinSnr, 2))
                .ToArray<double>()[0];
            Assert.Equal(weights, Alone(k, NoiseWeighting.MinSnr, 2) / Alone(k, NoiseWeighting.None), 1e-6 * weights);
        }
    }

    [Fact]
    public void Masks_begin_at_the_given_tap()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        double Masked(int from) => new ObjectiveSet(
                new()
                {
                    Perceptual = new() { Weight = 1, MaskFromTap = from },
                },
                decoder
            ).Evaluate(new Step(Times, side: 16, outliers: true).Inputs()).Health["lpl/masked/tap1"];
        Assert.True(Masked(1) > 0, "Outliers are planted, but none is masked.");
        Assert.Equal(Masked(0), Masked(1));
        Assert.Equal(0, Masked(2));
    }

    [Fact]
    public void A_map_with_a_constant_target_is_excluded()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        using var generator = Generator.Create(Device.Cpu, 3);
        var (target, estimate) = (Ops.Randn([2, 3, 6, 6], generator), Ops.Randn([2, 3, 6, 6], generator));
        double Loss(LatentPerceptualOptions options, bool flat)
        {
            var f = flat ? Ops.Cat([target.Narrow(1, 0, 2), Ops.Full([2, 1, 6, 6], 3.0)], 1) : target;
            var objective = new LatentPerceptualObjective(options, decoder);
            return objective.PerSample(new DecodedSamples(new([estimate], null), new([f], null), null), new HealthLog(scope)).Sum().Item();
        }

        var byTarget = new LatentPerceptualOptions
        {
            Taps = [0],
            Mask = false,
            Statistics = StatisticsSource.Target,
        };
        var two = Loss(byTarget, flat: true);
        Assert.InRange(two, 0, Loss(byTarget, flat: false));
        // Divided by its variance of 0 and the absolute floor, the constant map would be a million times the others.
        Assert.True(two < 100, $"The loss is {two}.");
    }

    [Fact]
    public void The_floor_bounds_the_weight_of_nearly_constant_maps()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var target = Ops.Randn([1, 1, 8, 8], generator, dtype: DType.Float64);
        var flat = target * 1e-4;
        double Loss(double floor) =>
            FeatureLoss
                .Compare(target, flat, FeatureLossTests.Settings(StatisticsSource.Estimate, false, false) with { Floor = floor })
                .Loss.Item();
        Assert.True(Loss(0) > 1e5, $"The loss is {Loss(0)}.");
        var square = (target - flat).Square().Mean().Item();
        Assert.Equal(square / (1e-6 + (0.05 * Variance(target)) + Variance(flat)), Loss(0.05), 1e-9);

        double Variance(Tensor x) => (x - x.Mean()).Square().Mean().Item();
    }

    [Theory]
    [InlineData(FeatureDifference.Squared)]
    [InlineData(FeatureDifference.Absolute)]
    public void By_the_target_the_floor_is_a_fraction_of_the_mean_variance_of_the_layer(FeatureDifference difference)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        using var generator = Generator.Create(Device.Cpu, 3);
        // The second map of the target has a thousandth of the first one's standard deviation.
        var scales = Tensor.From([1.0, 1e-3], 1, 2, 1, 1);
        var target = Ops.Randn([1, 2, 6, 6], generator, dtype: DType.Float64) * scales;
        var estimate = Ops.Randn([1, 2, 6, 6], generator, dtype: DType.Float64);
        var options = new LatentPerceptualOptions
        {
            Taps = [0],
            Mask = false,
            Statistics = StatisticsSource.Target,
            Difference = difference,
        };
        double Loss(double? floor) =>
            new LatentPerceptualObjective(options with { VarianceFloor = floor }, decoder)
                .PerSample(new DecodedSamples(new([estimate], null), new([target], null), null), new HealthLog(scope))
                .Sum()
                .Item();
        var variance = (target - target.Mean([2L, 3], keepdim: true)).Square().Mean([2L, 3]).ToArray<double>();
        double Expected(double floor)
        {
            var gap = target - estimate;
            var errors = (difference == FeatureDifference.Squared ? gap.Square() : gap.Abs()).Mean([2L, 3]).ToArray<double>();
            return errors
                .Zip(variance, (e, v) => (E: e, Least: v + 1e-6 + (floor * variance.Average())))
                .Average(p => p.E / (difference == FeatureDifference.Squared ? p.Least : Math.Sqrt(p.Least)));
        }

        foreach (var floor in new[] { 0, 0.02, 1 })
            Assert.Equal(1, Loss(floor) / Expected(floor), 1e-9);
        Assert.Equal(Loss(0.05), Loss(null));
        Assert.True(Loss(0) > 10 * Loss(0.05), $"The loss is {Loss(0)} without a floor and {Loss(0.05)} with it.");
    }

    [Fact]
    public void Windows_and_threshold_follow_the_training_size()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        double Active(LatentPerceptualOptions options, double resolution) =>
            new ObjectiveSet(new() { Perceptual = options }, decoder, resolution: resolution)
                .Evaluate(new Step([0.2, 0.7, 0.8]).Inputs())
                .Health["lpl/active"];
        // σ = t/(1 − t) = 0.25, 2.33, 4.
        Assert.Equal(2.0 / 3, Active(new() { Weight = 1 }, 1), 1e-12);
        Assert.Equal(1, Active(new() { Weight = 1 }, 2));
        Assert.Equal(2.0 / 3, Active(new() { Weight = 1, ResolutionScale = 1 }, 2), 1e-12);
    }

    private static double Raw(LatentPerceptualOptions options, double[]? times = null)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        return new ObjectiveSet(new() { Perceptual = options }, decoder).Evaluate(new Step(times ?? Times).Inputs()).Terms[1].Raw;
    }
}
