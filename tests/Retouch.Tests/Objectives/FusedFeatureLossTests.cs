using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>The fused kernel equals separate operators.</summary>
public sealed class FusedFeatureLossTests
{
    public static TheoryData<DType, long, long, MaskSource, int, int, bool> Cases()
    {
        var cases = new TheoryData<DType, long, long, MaskSource, int, int, bool>();
        foreach (var dtype in new[] { DType.Float32, DType.Float64 })
        {
            foreach (
                var (height, width) in new[] { (1L, 1L), (1L, 9L), (3L, 2L), (6L, 7L), (16L, 16L), (33L, 17L), (64L, 64L), (128L, 96L) }
            )
            {
                cases.Add(dtype, height, width, MaskSource.Estimate, 3, 5, false);
                cases.Add(dtype, height, width, MaskSource.Target, 1, 3, true);
            }

            cases.Add(dtype, 64, 64, MaskSource.Estimate, 1, 1, false);
            cases.Add(dtype, 64, 64, MaskSource.Estimate, 7, 11, true);
            cases.Add(dtype, 4, 300, MaskSource.Estimate, 5, 9, false);
        }

        return cases;
    }

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Cases))]
    public void It_equals_separate_operators(DType dtype, long height, long width, MaskSource source, int closing, int opening, bool kept)
    {
        using var scope = TensorScope.Enter();
        var (target, estimate) = Features(dtype, height, width);
        var rounding = dtype == DType.Float32 ? 2e-5 : 1e-11;
        foreach (var settings in Variants(source, closing, opening, kept))
        {
            Assert.True(FusedFeatureLoss.Supports(target, settings));
            var (expected, expectedGradient) = Run((f, g, s) => FeatureLoss.Compare(f, g, s), target, estimate, settings);
            var (actual, gradient) = Run(FusedFeatureLoss.Compare, target, estimate, settings);
            Close(expected, actual, rounding);
            Close(expectedGradient, gradient, 10 * rounding);
        }
    }

    [Fact]
    public void Absolute_differences_with_own_statistics_have_no_kernel()
    {
        using var scope = TensorScope.Enter();
        var settings = FeatureLossTests.Settings(StatisticsSource.Own, false, false) with { Difference = FeatureDifference.Absolute };
        Assert.False(FusedFeatureLoss.Supports(Ops.Zeros([1L, 1, 2, 2]), settings));
    }

    [Fact]
    public void Quantiles_of_difficult_maps_are_exact()
    {
        using var scope = TensorScope.Enter();
        var settings = FeatureLossTests.Settings(null, true, false) with { Mask = new MaskSettings(MaskSource.Estimate, 0.02, 0, 1, 1) };
        using var generator = Generator.Create(Device.Cpu, 4);
        // No margin, no windows: pixels strictly between the quantiles are kept, so that a single wrong rank is visible.
        foreach (var map in DifficultMaps(generator))
        {
            var expected = OutlierMask.Compute(map, settings.Mask!).Sum().Item();
            Assert.Equal(expected, FusedFeatureLoss.Compare(map, map, settings).Kept.Item());
        }
    }

    [Fact]
    public void Non_contiguous_maps_are_read_in_order()
    {
        using var scope = TensorScope.Enter();
        var (target, estimate) = Features(DType.Float64, 16, 16);
        var settings = FeatureLossTests.Settings(StatisticsSource.Estimate, true, false);
        var (expected, expectedGradient) = Run(FusedFeatureLoss.Compare, target, estimate, settings);
        Tensor Crossed(Tensor x) => x.Transpose(2, 3).Contiguous().Transpose(2, 3);
        var (actual, gradient) = Run(FusedFeatureLoss.Compare, Crossed(target), Crossed(estimate), settings);
        Assert.Equal(expected.Loss.ToArray<double>(), actual.Loss.ToArray<double>());
        Assert.Equal(expectedGradient.ToArray<double>(), gradient.ToArray<double>());
    }

    /// <summary>Settings that the kernels support.</summary>
    internal static IEnumerable<FeatureSettings> Variants(MaskSource source, int closing, int opening, bool kept) =>
        from statistics in new StatisticsSource?[] { StatisticsSource.Estimate, StatisticsSource.Own, StatisticsSource.Target, null }
        from variant in new (double Through, bool Masked, FeatureDifference Difference)[]
        {
            (1, true, FeatureDifference.Squared),
            (0, true, FeatureDifference.Squared),
            (0.4, false, FeatureDifference.Squared),
            (0.4, true, FeatureDifference.Absolute),
        }
        where statistics != StatisticsSource.Own || variant.Difference != FeatureDifference.Absolute
        select FeatureLossTests.Settings(statistics, variant.Masked, kept, variant.Through) with
        {
            Difference = variant.Difference,
            Mask = variant.Masked ? new MaskSettings(source, 0.02, 2, closing, opening) : null,
        };

    internal static void Close(FeatureTerms expected, FeatureTerms actual, double rounding)
    {
        Assert.Equal(expected.Kept.ToArray<double>(), actual.Kept.ToArray<double>());
        Close(expected.Loss, actual.Loss, rounding);
        Close(expected.SquaredError, actual.SquaredError, rounding);
        Close(expected.TargetVariance, actual.TargetVariance, rounding);
        Close(expected.EstimateVariance, actual.EstimateVariance, rounding);
    }

    internal static (FeatureTerms Terms, Tensor Gradient) Run(
        Func<Tensor, Tensor, FeatureSettings, FeatureTerms> compare,
        Tensor target,
        Tensor estimate,
        FeatureSettings settings
    )
    {
        var leaf = estimate.Detach();
        leaf.RequiresGrad = true;
        var terms = compare(target, leaf, settings);
        using var generator = Generator.Create(Device.Cpu, 9);
        var cotangent = Ops.Randn(terms.Loss.Shape, generator, dtype: terms.Loss.DType).To(terms.Loss.Device);
        return (terms, Autograd.Grad([terms.Loss], [leaf], [cotangent])[0]!);
    }

    /// <param name="expected">Expected elements.</param>
    /// <param name="actual">Computed elements.</param>
    /// <param name="tolerance">Error as a fraction of the largest expected element.</param>
    /// <param name="storage">Error as a fraction of each element: the rounding of its type.</param>
    /// <param name="quantum">Absolute error: the smallest number of its type.</param>
    internal static void Close(Tensor expected, Tensor actual, double tolerance, double storage = 0, double quantum = 0)
    {
        var (a, b) = (expected.ToArray<double>(), actual.ToArray<double>());
        var largest = a.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(0).Max();
        for (var k = 0; k < a.Length; k++)
            Assert.True(
                a[k].Equals(b[k]) || Math.Abs(a[k] - b[k]) <= (tolerance * largest) + (storage * Math.Abs(a[k])) + quantum,
                $"Element {k}: expected {a[k]:R}, found {b[k]:R}; the largest is {largest:R}."
            );
    }

    /// <summary>Maps of 2000 pixels: normal, skewed, with ties, subnormal, with huge outliers, descending.</summary>
    internal static Tensor[] DifficultMaps(Generator generator) =>
        [
            Ops.Randn([1, 1, 50, 40], generator),
            Ops.Randn([1, 1, 50, 40], generator).Square().Exp(),
            Ops.Randn([1, 1, 50, 40], generator).Round(),
            Ops.Randn([1, 1, 50, 40], generator) * 1e-42,
            Ops.Cat([Ops.Randn([1, 1, 49, 40], generator), Ops.Full([1, 1, 1, 40], 1e30)], 2),
            Ops.Arange(2000.0).Reshape([1, 1, 50, 40]) * -3.0,
        ];

    /// <summary>Five maps per sample: plain, far from zero, with a cluster of outliers, with single outliers, constant.</summary>
    internal static (Tensor Target, Tensor Estimate) Features(DType dtype, long height, long width)
    {
        using var generator = Generator.Create(Device.Cpu, 3);
        var target = Ops.Randn([2, 5, height, width], generator, dtype: DType.Float64);
        var estimate = target + (0.4 * Ops.Randn(target.Shape, generator, dtype: DType.Float64));
        var values = estimate.Span<double>();
        var n = (int)(height * width);
        for (var sample = 0; sample < 2; sample++)
        {
            for (var k = 0; k < n; k++)
            {
                var start = 5 * n * sample;
                values[start + n + k] += 20;
                if (k / width < 2 && k % width < 2)
                    values[start + (2 * n) + k] = 60;
                if (k % 701 == 300)
                    values[start + (3 * n) + k] = -40;
                values[start + (4 * n) + k] = 0.25;
            }
        }

        return (target.To(dtype), estimate.To(dtype));
    }
}
