using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

public sealed class FeatureLossTests
{
    private const int Samples = 2,
        Channels = 3,
        Height = 24,
        Width = 22;

    public static TheoryData<StatisticsSource?, bool, double, FeatureDifference, bool, bool, bool> Cases()
    {
        var cases = new TheoryData<StatisticsSource?, bool, double, FeatureDifference, bool, bool, bool>();
        foreach (
            var statistics in new StatisticsSource?[] { StatisticsSource.Estimate, StatisticsSource.Own, StatisticsSource.Target, null }
        )
        {
            foreach (var bits in Enumerable.Range(0, 32))
            {
                var (masked, kept, outliers, fused) = ((bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0);
                var difference = (bits & 16) != 0 ? FeatureDifference.Absolute : FeatureDifference.Squared;
                if (fused && statistics == StatisticsSource.Own && difference == FeatureDifference.Absolute)
                    continue;
                foreach (var through in statistics is StatisticsSource.Estimate or StatisticsSource.Own ? new[] { 0, 0.3, 1 } : [1])
                    cases.Add(statistics, masked, through, difference, kept, outliers, fused);
            }
        }

        return cases;
    }

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Cases))]
    public void Values_and_gradients_equal_the_formula(
        StatisticsSource? statistics,
        bool masked,
        double through,
        FeatureDifference difference,
        bool kept,
        bool outliers,
        bool fused
    )
    {
        using var scope = TensorScope.Enter();
        var settings = Settings(statistics, masked, kept, through) with { Difference = difference };
        var (target, estimate) = Maps(outliers);
        var leaf = Tensor.From(estimate, Samples, Channels, Height, Width);
        leaf.RequiresGrad = true;
        var terms = Compare(fused, Tensor.From(target, Samples, Channels, Height, Width), leaf, settings);
        using var generator = Generator.Create(Device.Cpu, 5);
        var cotangent = Ops.Randn([Samples, Channels], generator, dtype: DType.Float64);
        var gradient = Autograd.Grad([terms.Loss], [leaf], [cotangent])[0]!.ToArray<double>();
        var losses = terms.Loss.ToArray<double>();
        var weights = cotangent.ToArray<double>();
        var someMasked = false;
        for (var m = 0; m < Samples * Channels; m++)
        {
            var (f, g) = (Map(target, m), Map(estimate, m));
            var mask = FeatureReference.Mask(g, Height, Width, settings.Mask);
            someMasked |= mask.Any(static k => !k);
            Assert.Equal(FeatureReference.Loss(f, g, mask, settings), losses[m], 1e-12 * Math.Max(1, losses[m]));
            Assert.Equal(mask.Count(static k => k), terms.Kept.ToArray<double>()[m]);
            for (var k = 0; k < g.Length; k += 5)
            {
                const double h = 1e-5;
                double At(double x, double[]? frozen)
                {
                    var moved = g.ToArray();
                    moved[k] = x;
                    return FeatureReference.Loss(f, moved, mask, settings, frozen);
                }

                double Slope(double[]? frozen) => (At(g[k] + h, frozen) - At(g[k] - h, frozen)) / (2 * h);
                var expected = weights[m] * ((through * Slope(null)) + ((1 - through) * Slope(g)));
                Assert.Equal(expected, gradient[(m * Height * Width) + k], 1e-8 * Math.Max(1, losses[m]));
            }
        }

        Assert.Equal(masked && outliers, someMasked);
    }

    [Theory]
    [InlineData(StatisticsSource.Own)]
    [InlineData(StatisticsSource.Target)]
    [InlineData(StatisticsSource.Estimate)]
    public void Channel_vectors_are_divided_by_their_norm(StatisticsSource statistics)
    {
        using var scope = TensorScope.Enter();
        var (target, estimate) = Maps(outliers: false);
        // Without the floor, the norm of an all-zero channel vector would have no gradient.
        for (var c = 0; c < Channels; c++)
            estimate[(c * Height * Width) + 4] = target[(c * Height * Width) + 9] = 0;
        var leaf = Tensor.From(estimate, Samples, Channels, Height, Width);
        leaf.RequiresGrad = true;
        var loss = FeatureLoss
            .Compare(
                Tensor.From(target, Samples, Channels, Height, Width),
                leaf,
                Settings(statistics, false, false) with
                {
                    Normalisation = Normalisation.ChannelNorm,
                }
            )
            .Loss;
        double expected = 0;
        for (var k = 0; k < Height * Width; k++)
        {
            double At(double[] x, int c) => x[(c * Height * Width) + k];
            double Norm(double[] x) => Math.Sqrt(Enumerable.Range(0, Channels).Sum(c => At(x, c) * At(x, c)) + 1e-12) + 1e-6;
            var estimateNorm = Norm(statistics == StatisticsSource.Target ? target : estimate);
            var d = (At(target, 1) / Norm(statistics == StatisticsSource.Estimate ? estimate : target)) - (At(estimate, 1) / estimateNorm);
            expected += d * d / (Height * Width);
        }

        Assert.Equal(expected, loss.ToArray<double>()[1], 1e-9 * expected);
        Assert.All(Autograd.Grad([loss.Sum()], [leaf])[0]!.ToArray<double>(), static g => Assert.True(double.IsFinite(g)));
    }

    [Fact]
    public void A_fully_masked_map_contributes_zero()
    {
        using var scope = TensorScope.Enter();
        // Constant: its quantiles equal its values, and no value lies strictly between them.
        var leaf = Ops.Full([1L, 1, 5, 5], 2.0, dtype: DType.Float64);
        leaf.RequiresGrad = true;
        foreach (var (kept, fused) in new[] { (false, false), (true, false), (false, true), (true, true) })
        {
            var terms = Compare(
                fused,
                Ops.Ones([1L, 1, 5, 5], dtype: DType.Float64),
                leaf,
                Settings(StatisticsSource.Estimate, true, kept)
            );
            Assert.Equal(0, terms.Kept.Item());
            Assert.Equal(0, terms.Loss.Item());
            Assert.All(Autograd.Grad([terms.Loss.Sum()], [leaf])[0]!.ToArray<double>(), static g => Assert.Equal(0, g));
        }
    }

    [Theory]
    [InlineData(double.NaN, false)]
    [InlineData(double.PositiveInfinity, false)]
    [InlineData(double.NaN, true)]
    [InlineData(double.PositiveInfinity, true)]
    public void Non_finite_values_are_not_masked(double planted, bool fused)
    {
        using var scope = TensorScope.Enter();
        var (target, estimate) = Maps(outliers: false);
        estimate[5] = planted;
        var terms = Compare(
            fused,
            Tensor.From(target, Samples, Channels, Height, Width),
            Tensor.From(estimate, Samples, Channels, Height, Width),
            Settings(StatisticsSource.Estimate, true, false)
        );
        var losses = terms.Loss.ToArray<double>();
        Assert.False(double.IsFinite(losses[0]));
        Assert.All(losses[1..], static l => Assert.True(double.IsFinite(l)));
    }

    private static FeatureTerms Compare(bool fused, Tensor target, Tensor estimate, FeatureSettings settings) =>
        fused ? FusedFeatureLoss.Compare(target, estimate, settings) : FeatureLoss.Compare(target, estimate, settings);

    /// <summary>Standardised by these statistics; unchanged if null.</summary>
    internal static FeatureSettings Settings(StatisticsSource? statistics, bool masked, bool kept, double through = 1) =>
        new(
            statistics is null ? Normalisation.None : Normalisation.Standardise,
            statistics ?? StatisticsSource.Estimate,
            through,
            0.05,
            FeatureDifference.Squared,
            masked ? new MaskSettings(MaskSource.Estimate, 0.02, 2, 3, 5) : null,
            kept
        );

    internal static (double[] Target, double[] Estimate) Maps(bool outliers)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 11);
        var target = Ops.Randn([Samples * Channels * Height * Width], generator, dtype: DType.Float64);
        var estimate = (target + (0.3 * Ops.Randn(target.Shape, generator, dtype: DType.Float64)) + 0.2).ToArray<double>();
        if (outliers)
        {
            // Three by three: smaller holes are filled by closing. In a corner, two by two are sufficient.
            for (var k = 0; k < 9; k++)
                estimate[((10 + (k / 3)) * Width) + 8 + (k % 3)] = 50 + k;
            foreach (var corner in new[] { 0, 1, Width, Width + 1 })
                estimate[(2 * Height * Width) + corner] = -80;
        }

        return (target.ToArray<double>(), estimate);
    }

    private static double[] Map(double[] all, int m) => all[(m * Height * Width)..((m + 1) * Height * Width)];
}
