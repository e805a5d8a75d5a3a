using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

/// <summary>Two-dimensional spectra of signals with known spectra.</summary>
public sealed class SpectrumMapTests
{
    private const int Size = 32;

    [Theory]
    [InlineData(3, 5)]
    [InlineData(-6, 2)]
    [InlineData(0, 9)]
    [InlineData(7, 0)]
    public void A_grating_gives_two_opposite_points(int across, int down)
    {
        using var scope = TensorScope.Enter();
        var map = Map(Grating(across, down, 0.2), hann: false);
        var peak = Size * Size * 0.2 * 0.2 / 4;
        for (var y = 0; y < Size; y++)
        {
            for (var x = 0; x < Size; x++)
            {
                var (u, v) = (x - (Size / 2), y - (Size / 2));
                TestTensors.Close((u, v) == (across, down) || (u, v) == (-across, -down) ? peak : 0, map[y, x], 1e-9, $"{u}, {v}");
            }
        }
    }

    [Fact]
    public void The_difference_of_two_maps_is_the_ratio_of_their_spectra()
    {
        double[,] real =
        {
            { 1, 4 },
            { 9, 0.5 },
        };
        double[,] base_ =
        {
            { 2, 4 },
            { 3, 0.5 },
        };
        double[,] set =
        {
            { 4, 2 },
            { 3, 5 },
        };
        var found = SpectrumMap.Difference(SpectrumMap.LogRatio(set, real), SpectrumMap.LogRatio(base_, real));
        double[] expected = [Math.Log10(2), Math.Log10(0.5), 0, 1];
        Assert.All(found.Cast<double>().Zip(expected), static pair => Assert.Equal(pair.Second, pair.First, 12));
        // Rendered: twice the power is full red, half of it full blue, equal power white.
        var picture = SpectrumMap.Draw(found, SpectrumMap.DifferenceRange);
        Assert.Equal(
            [new Rgb(255, 0, 0), new Rgb(0, 0, 255), Rgb.White, new Rgb(255, 0, 0)],
            [picture[0, 0], picture[1, 0], picture[0, 1], picture[1, 1]]
        );
        Assert.Throws<ArgumentException>(() => SpectrumMap.Difference(found, new double[1, 2]));
    }

    [Fact]
    public void A_window_spreads_a_grating_by_its_own_spectrum()
    {
        // cos^2 splits a wave into 1/2 at its frequency and 1/4 on each side, in both directions; the sum of the squared window is (3/8
        // N)^2.
        using var scope = TensorScope.Enter();
        var map = Map(Grating(6, -7, 0.2), hann: true);
        double[] share = [0.25, 0.5, 0.25];
        for (var y = -1; y <= 1; y++)
        {
            for (var x = -1; x <= 1; x++)
            {
                var amplitude = Size * Size * 0.2 / 2 * share[y + 1] * share[x + 1];
                var expected = amplitude * amplitude / Math.Pow(0.375 * Size, 2);
                TestTensors.Close(expected, map[(Size / 2) - 7 + y, (Size / 2) + 6 + x], 1e-9 * expected, $"{x}, {y}");
            }
        }
    }

    [Fact]
    public void White_noise_is_flat_at_its_variance_at_every_frequency()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 6);
        const int Count = 600;
        using var statistics = new SpectrumStatistics(
            Size,
            Size,
            new SpectrumOptions { Hann = false, Signal = SpectrumSignal.Channels },
            Device.Cpu
        );
        statistics.Add((Ops.Randn([Count, 3, Size, Size], generator) * 0.1) + 0.5);
        var map = statistics.MeanMap();
        // Each value is a mean of 1800 exponentials (of squared normals at frequencies that are their own mirror image): 6 standard
        // deviations.
        for (var y = 0; y < Size; y++)
        {
            for (var x = 0; x < Size; x++)
            {
                var own = (x is 0 or Size / 2) && (y is 0 or Size / 2);
                if ((x, y) == (Size / 2, Size / 2))
                    TestTensors.Close(0, map[y, x], 1e-9, "the mean is taken out");
                else
                    TestTensors.Close(0.01, map[y, x], 0.01 * 6 * Math.Sqrt((own ? 2 : 1) / (3.0 * Count)), $"{x}, {y}");
            }
        }
    }

    [Fact]
    public void A_difference_of_maps_is_written_as_npy_and_png()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        var options = new EvaluationOptions
        {
            Metrics = MetricCatalog.Of("spectrum"),
            Bootstrap = new BootstrapOptions { Resamples = 100 },
        };
        var real = TestTensors.Pictures(20, Size, 1);
        var set = ImageSet.From("half", ((((real - 0.5) * 0.5) + 0.5) * 2) - 1);
        var map = Evaluator.Evaluate(ImageSet.From("real", (real * 2) - 1), [set], options).Sets[0].SpectrumMap!;
        // Half the contrast is a quarter of the power, up to rounding to 8 bits.
        TestTensors.Close(-Math.Log10(4), map[Size / 2, (Size / 2) + 2], 0.01);
        SpectrumMap.Save(map, folder["map"]);
        using var stream = File.OpenRead(folder["map.npy"]);
        var read = Retouch.Evaluation.Features.NpyArray.Read(stream, stream.Length, "map");
        Assert.Equal([Size, Size], read.Shape);
        Assert.Equal(map.Cast<double>(), read.Values);
        var picture = PictureFile.Load(folder["map.png"]);
        var (expected, seen) = (SpectrumMap.Draw(map), picture[(Size / 2) + 2, Size / 2]);
        Assert.Equal(expected[(Size / 2) + 2, Size / 2], seen);
        Assert.Equal((255, seen.G), ((int)seen.B, seen.R));
        TestTensors.Close(255 * (1 - Math.Log10(4)), seen.R, 3);
        var drawn = SpectrumMap.Draw(
            new double[,]
            {
                { 0, 2, -2, 0.5 },
            }
        );
        Assert.Equal(
            [Rgb.White, new Rgb(255, 0, 0), new Rgb(0, 0, 255), new Rgb(255, 128, 128)],
            new[] { drawn[0, 0], drawn[1, 0], drawn[2, 0], drawn[3, 0] }
        );
    }

    private static double[,] Map(Tensor images, bool hann)
    {
        using var statistics = new SpectrumStatistics(Size, Size, new SpectrumOptions { Hann = hann }, Device.Cpu);
        statistics.Add(images);
        return statistics.MeanMap();
    }

    private static Tensor Grating(int across, int down, double amplitude)
    {
        var pixels = new double[Size * Size];
        for (var i = 0; i < pixels.Length; i++)
            pixels[i] = 0.5 + (amplitude * Math.Cos(2 * Math.PI * ((across * (i % Size)) + (down * (i / Size))) / Size));
        return Tensor.From(pixels, 1, 1, Size, Size).Expand([1, 3, Size, Size]);
    }
}
