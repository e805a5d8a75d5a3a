using Retouch.Core.Errors;
using Retouch.Evaluation.Frequency;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

public sealed class PowerSpectrumTests
{
    private static readonly SpectrumOptions Plain = new() { Hann = false };

    [Theory]
    [InlineData(1, 0)]
    [InlineData(5, 0)]
    [InlineData(0, 7)]
    [InlineData(3, 4)]
    [InlineData(-6, 8)]
    public void A_grating_is_in_one_ring_with_half_its_squared_amplitude(int across, int down)
    {
        using var scope = TensorScope.Enter();
        const int Size = 32;
        const double Amplitude = 0.25;
        using var spectrum = new PowerSpectrum(Size, Size, Plain, Device.Cpu);
        var pixels = new double[Size * Size];
        for (var i = 0; i < pixels.Length; i++)
            pixels[i] = 0.5 + (Amplitude * Math.Cos(2 * Math.PI * ((across * (i % Size)) + (down * (i / Size))) / Size));
        var gray = Tensor.From(pixels, 1, 1, Size, Size).Expand([1, 3, Size, Size]);
        var power = spectrum.Power(gray);
        // Two peaks, each (N²·A/2)² over the N² of the window.
        var peak = Size * Size * Amplitude * Amplitude / 4;
        TestTensors.Close(peak, power.Max().Item(), 1e-9);
        var ring = (int)Math.Round(Math.Sqrt((across * across) + (down * down)));
        var profile = spectrum.Profile(power).ToArray<double>();
        var members = Members(Size)[ring];
        for (var k = 1; k <= spectrum.Bins; k++)
            TestTensors.Close(k == ring ? 2 * peak / members : 0, profile[k - 1], 1e-9, $"ring {k}");
    }

    [Theory]
    [InlineData(false, 32, 32)]
    [InlineData(true, 32, 32)]
    [InlineData(true, 33, 48)]
    public void White_noise_is_flat_at_its_variance(bool hann, int height, int width)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        using var spectrum = new SpectrumStatistics(
            width,
            height,
            new SpectrumOptions { Hann = hann, Signal = SpectrumSignal.Channels },
            Device.Cpu
        );
        const int Count = 400;
        spectrum.Add((Ops.Randn([Count, 3, height, width], generator) * 0.1) + 0.5);
        var members = Members(Math.Min(height, width));
        var profile = spectrum.MeanProfile();
        for (var k = 0; k < profile.Length; k++)
        {
            // A ring's mean has a relative standard deviation of about 1/sqrt(independent values); neighbours under a window are
            // correlated, so half of them count.
            var deviation = Math.Sqrt(2 / (Count * 3.0 * members[k + 1] * (hann ? 0.25 : 0.5)));
            // The window also removes its mean from the first ring.
            TestTensors.Close(0.01, profile[k], 0.01 * ((5 * deviation) + (hann && k == 0 ? 0.3 : 0)), $"ring {k + 1}");
        }
    }

    [Fact]
    public void Luminance_weighs_channels_and_channels_average_power()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(3, 16, 1);
        Tensor Of(Tensor y, SpectrumSignal signal)
        {
            using var spectrum = new PowerSpectrum(16, 16, new SpectrumOptions { Signal = signal }, Device.Cpu);
            return spectrum.Power(y);
        }

        var gray = ((x.Select(1, 0) * 0.299) + (x.Select(1, 1) * 0.587) + (x.Select(1, 2) * 0.114)).Unsqueeze(1).Expand([3, 3, 16, 16]);
        Assert.True(TestTensors.Furthest(Of(x, SpectrumSignal.Luminance), Of(gray, SpectrumSignal.Channels)) < 1e-12);
        Assert.True(TestTensors.Furthest(Of(x, SpectrumSignal.Luminance), Of(x, SpectrumSignal.Channels)) > 1e-3);
    }

    [Theory]
    [InlineData(16, 16)]
    [InlineData(15, 22)]
    public void The_map_is_the_full_plane_with_zero_in_the_centre(int height, int width)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        var x = Ops.Rand([5, 3, height, width], generator, dtype: DType.Float64);
        using var statistics = new SpectrumStatistics(
            width,
            height,
            new SpectrumOptions { Hann = false, Signal = SpectrumSignal.Channels },
            Device.Cpu
        );
        statistics.Add(x);
        var full = (x - x.Mean([2L, 3], keepdim: true)).FftFft2().ViewAsReal().Square().Sum([-1L]).Mean([0L, 1]) / (height * width);
        var expected = full.FftFftshift([0L, 1]);
        var map = statistics.MeanMap();
        Assert.True(TestTensors.Furthest(expected, Tensor.From(map.Cast<double>().ToArray(), height, width)) < 1e-12);
    }

    [Fact]
    public void Half_the_contrast_has_an_error_of_log_four()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(20, 16, 1);
        using var a = Statistics(x);
        using var b = Statistics(x * 0.5);
        Assert.All(SpectrumError.Scores(a, a.MeanProfile()).Figures(), error => TestTensors.Close(0, error, 1e-12));
        var figures = SpectrumError.Scores(b, a.MeanProfile()).Figures();
        for (var k = 0; k < 4; k++)
        {
            TestTensors.Close(Math.Log10(4), figures[k], 1e-12);
            TestTensors.Close(-Math.Log10(4), figures[k + 4], 1e-12);
        }
    }

    [Fact]
    public void Blur_reduces_the_power_by_its_transfer_function()
    {
        using var scope = TensorScope.Enter();
        const int Size = 32;
        var x = TestTensors.Pictures(40, Size, 1);
        // The mean of four neighbours, twice, with periodic borders: the power of frequency (u, v) is multiplied by cos⁴(πu)·cos⁴(πv), u
        // and v in cycles per pixel.
        var blurred = x;
        for (var k = 0; k < 4; k++)
            blurred = (blurred + blurred.Roll([1L], [2L + (k % 2)])) * 0.5;
        var transfer = new double[Size * ((Size / 2) + 1)];
        for (var at = 0; at < transfer.Length; at++)
            transfer[at] = Math.Pow(
                Math.Cos(Math.PI * (at % ((Size / 2) + 1)) / Size) * Math.Cos(Math.PI * (at / ((Size / 2) + 1)) / Size),
                4
            );

        using var spectrum = new PowerSpectrum(Size, Size, Plain, Device.Cpu);
        var profile = spectrum.Profile(spectrum.Power(x)).Mean([0L]).ToArray<double>();
        var expected = spectrum.Profile(spectrum.Power(x) * Tensor.From(transfer, 1, Size, (Size / 2) + 1)).Mean([0L]).ToArray<double>();
        using var b = Statistics(blurred, Plain);
        var scores = SpectrumError.Scores(b, profile);
        Assert.Equal(
            [
                "spectrum",
                "spectrum.low",
                "spectrum.mid",
                "spectrum.high",
                "spectrum.bias",
                "spectrum.bias.low",
                "spectrum.bias.mid",
                "spectrum.bias.high",
            ],
            scores.Names.Select(n => n.Name)
        );
        var figures = scores.Figures();
        var ratio = SpectrumError.LogRatio(expected, profile);
        foreach (var (slot, rings) in new[] { (0, 0..16), (1, 0..6), (2, 6..11), (3, 11..16) })
        {
            TestTensors.Close(Math.Sqrt(ratio[rings].Average(static r => r * r)), figures[slot], 1e-9, $"root mean square {slot}");
            TestTensors.Close(ratio[rings].Average(), figures[slot + 4], 1e-9, $"mean {slot}");
        }

        Assert.True(figures[3] > figures[2] && figures[2] > figures[1] && figures[7] < -1, string.Join(' ', figures));
    }

    [Fact]
    public void Bands_are_thirds_and_empty_rings_stay_finite()
    {
        Assert.Equal([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], Enumerable.Range(1, 12).Select(k => SpectrumError.Band(k, 12)));
        Assert.Equal([Math.Log10(SpectrumError.Floor / 1), 0.0], SpectrumError.LogRatio([0, 0], [1, 0]));
        Assert.Throws<UsageException>(() => new PowerSpectrum(7, 64, Plain, Device.Cpu));
    }

    private static SpectrumStatistics Statistics(Tensor x, SpectrumOptions? options = null)
    {
        var statistics = new SpectrumStatistics((int)x.Shape[3], (int)x.Shape[2], options ?? new SpectrumOptions(), Device.Cpu);
        foreach (var part in x.Split(7))
            statistics.Add(part);
        return statistics;
    }

    /// <summary>Number of frequencies of a square picture in each ring, counted over the whole plane.</summary>
    private static Dictionary<int, int> Members(int size)
    {
        var members = new Dictionary<int, int>();
        for (var v = -((size - 1) / 2); v <= size / 2; v++)
        {
            for (var u = -((size - 1) / 2); u <= size / 2; u++)
            {
                var ring = (int)Math.Floor(Math.Sqrt((u * u) + (v * v)) + 0.5);
                members[ring] = members.GetValueOrDefault(ring) + 1;
            }
        }

        return members;
    }
}
