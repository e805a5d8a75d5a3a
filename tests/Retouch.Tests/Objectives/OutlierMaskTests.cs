using Retouch.Objectives.LatentPerceptual;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

public sealed class OutlierMaskTests
{
    [Theory]
    [InlineData("f0")]
    [InlineData("f1")]
    [InlineData("f2")]
    [InlineData("f3")]
    [InlineData("f4")]
    public void Masks_and_thresholds_equal_the_golden(string map)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("lpl_mask");
        var parameters = golden.Document["params"]!;
        var settings = Settings((double)parameters["down_f"]![map]!, (double)parameters["quant"]!);
        var features = golden.Read($"in.{map}");
        var (low, high) = OutlierMask.Thresholds(features, settings);
        golden.Check($"out.{map}.low", low.Flatten(1));
        golden.Check($"out.{map}.high", high.Flatten(1));
        golden.CheckMask($"out.{map}.raw", OutlierMask.Compute(features, settings with { Closing = 1, Opening = 1 }));
        golden.CheckMask($"out.{map}.mask", OutlierMask.Compute(features, settings));
    }

    [Theory]
    [InlineData(1, 5, 3)]
    [InlineData(2, 3, 1)]
    [InlineData(4, 3, 1)]
    [InlineData(8, 1, 1)]
    public void Windows_shrink_with_the_map(double down, int opening, int closing)
    {
        Assert.Equal(opening, LayerPlan.Window(5, down, opening: true));
        Assert.Equal(closing, LayerPlan.Window(3, down, opening: false));
    }

    [Theory]
    [InlineData(2, 1, 11, 5)]
    [InlineData(2, 2, 5, 3)]
    [InlineData(0.5, 1, 3, 1)]
    public void Windows_grow_with_the_resolution_and_stay_odd(double scale, double down, int opening, int closing)
    {
        Assert.Equal(opening, LayerPlan.Window(5 * scale, down, opening: true));
        Assert.Equal(closing, LayerPlan.Window(3 * scale, down, opening: false));
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(36, 1, 35)]
    [InlineData(49, 1, 48)]
    [InlineData(100, 2, 98)]
    [InlineData(4096, 81, 4014)]
    public void Ranks_never_fall_below_the_first(long n, long low, long high) => Assert.Equal((low, high), OutlierMask.Ranks(n, 0.02));

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 7)]
    [InlineData(3, 2)]
    public void Tiny_maps_have_a_mask(int height, int width)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 2);
        var features = Ops.Randn([1, 2, height, width], generator, dtype: DType.Float64);
        var settings = Settings(1, 0.02);
        var mask = OutlierMask.Compute(features, settings).ToArray<double>();
        var values = features.ToArray<double>();
        var n = height * width;
        for (var m = 0; m < 2; m++)
        {
            var expected = FeatureReference.Mask(values[(m * n)..((m + 1) * n)], height, width, settings);
            Assert.Equal(expected.Select(static k => k ? 1.0 : 0), mask[(m * n)..((m + 1) * n)]);
        }
    }

    private static MaskSettings Settings(double down, double quantile) =>
        new(MaskSource.Estimate, quantile, 2, LayerPlan.Window(3, down, opening: false), LayerPlan.Window(5, down, opening: true));
}
