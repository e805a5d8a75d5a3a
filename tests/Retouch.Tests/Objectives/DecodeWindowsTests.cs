using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>Losses of decoded windows: their expectation against whole pictures.</summary>
public sealed class DecodeWindowsTests
{
    // The scripted decoder has a receptive field of 2¼ latents on each side.
    private const int Field = 3;
    private const int Side = 11;
    private static readonly double[] Times = [0.2, 0.5];

    private static readonly ObjectiveOptions Pixel = new()
    {
        LatentWeight = 0,
        Pixel = new() { Weight = 2 },
        DecodeCrop = 16,
        DecodeHalo = 4 * Field,
    };

    private static readonly ObjectiveOptions Features = new()
    {
        LatentWeight = 0,
        Perceptual = new()
        {
            Weight = 3,
            Gate = GateKind.None,
            Normalisation = Normalisation.None,
            Mask = false,
            Rgb = true,
            TargetFrequencies = 0,
            ErrorScale = 1,
        },
        DecodeCrop = 16,
        DecodeHalo = 4 * Field,
    };

    [Theory]
    [InlineData(4, 11)]
    [InlineData(3, 12)]
    [InlineData(8, 9)]
    [InlineData(5, 5)]
    public void The_coverage_of_a_latent_has_its_closed_form(int side, int length)
    {
        var crop = new DecodeCrop(side, 0, 8);
        var positions = Enumerable.Range(0, length - side + 1).Select(k => crop.Probability(k, length)).ToArray();
        Assert.Equal(1, positions.Sum(), 1e-12);
        var coverage = Enumerable.Range(0, length).Select(k => crop.Coverage(k, length)).ToArray();
        Assert.Equal(side, coverage.Sum(), 1e-12);
        Assert.Equal(coverage, coverage.Reverse(), (a, b) => Math.Abs(a - b) < 1e-12);
        for (var k = 0; k < length; k++)
        {
            // The number of positions that contain the latent, and half of the rest of the border's probability for each border.
            var (first, last) = (Math.Max(0, k - side + 1), Math.Min(k, length - side));
            var extra = (side - 1) / (2.0 * length);
            var expected =
                length == side ? 1 : ((last - first + 1.0) / length) + (first == 0 ? extra : 0) + (last == length - side ? extra : 0);
            Assert.Equal(expected, coverage[k], 1e-12);
            Assert.InRange(coverage[k] * length / side, 0.5, length == side ? 1 : 1.5);
        }
    }

    [Fact]
    public void Positions_are_drawn_with_their_probabilities()
    {
        const int Draws = 20000;
        var crop = new DecodeCrop(4, 0, 8);
        using var generator = Generator.Create(Device.Cpu, 11);
        var windows = crop.Draw(Draws, 9, 13, generator);
        Check(windows.Places.Select(static p => p.Top), 9);
        Check(windows.Places.Select(static p => p.Left), 13);
        // Rows and columns are independent: the covariance is 0 within five standard errors.
        var (top, left) = (windows.Places.Average(static p => p.Top), windows.Places.Average(static p => p.Left));
        var products = windows.Places.Select(p => (p.Top - top) * (p.Left - left)).ToArray();
        Assert.InRange(Math.Abs(products.Average()), 0, 5 * Math.Sqrt(products.Average(static p => p * p) / Draws));

        void Check(IEnumerable<int> drawn, int length)
        {
            var counts = drawn.CountBy(static k => k).ToDictionary();
            for (var k = 0; k <= length - crop.Side; k++)
            {
                var p = crop.Probability(k, length);
                Assert.InRange(counts[k], Draws * p - (5 * Math.Sqrt(Draws * p)), Draws * p + (5 * Math.Sqrt(Draws * p)));
            }
        }
    }

    [Theory]
    [InlineData(PixelEstimate.Remix, PixelTarget.Decoding)]
    [InlineData(PixelEstimate.X0, PixelTarget.Decoding)]
    [InlineData(PixelEstimate.X0, PixelTarget.Image)]
    public void The_mean_over_windows_of_a_pixel_loss_is_that_of_whole_pictures(PixelEstimate estimate, PixelTarget target)
    {
        var options = Pixel with { Pixel = Pixel.Pixel! with { Estimate = estimate, Target = target } };
        var step = new Step(Times, Side, images: true);
        AssertEqual(Whole(options, step), Expectation(options, step));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Masked_pixels_keep_their_weight_in_the_mean_over_windows(bool normalise)
    {
        using var scope = TensorScope.Enter();
        var weights = Ops.Rand([Times.Length, 1, 4 * Side, 4 * Side], Generator.Create(Device.Cpu, 4));
        weights.Narrow(2, 0, 20).ZeroInPlace();
        var mask = new LossMask(weights, normalise);
        var step = new Step(Times, Side);
        // The mask has the precision of float32.
        AssertEqual(Whole(Pixel, step, mask), Expectation(Pixel, step, mask), 1e-6);
    }

    [Fact]
    public void The_mean_over_windows_of_features_is_that_of_whole_pictures_weighted_by_the_coverage()
    {
        using var scope = TensorScope.Enter();
        var crop = new DecodeCrop(4, Field, 4);
        var along = Enumerable.Range(0, 4 * Side).Select(k => (float)(crop.Coverage(k / 4, Side) * Side / 4)).ToArray();
        var row = Tensor.From(along, 1, 1, 1, along.Length);
        var coverage = (row.Transpose(2, 3) * row).Expand([Times.Length, 1, along.Length, along.Length]).Contiguous();
        var step = new Step(Times, Side);
        // The coverage has the precision of float32.
        AssertEqual(Whole(Features, step, new LossMask(coverage, Normalise: false)), Expectation(Features, step), 1e-6);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Frequencies_of_the_target_are_those_of_whole_latents(int frequencies)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        double Of(int count, ObjectiveInputs inputs)
        {
            var set = new ObjectiveSet(Features with { Perceptual = Features.Perceptual! with { TargetFrequencies = count } }, decoder);
            return set.Evaluate(inputs with { Windows = new DecodeWindows(set.Crop!, Side, Side, [(0, 2), (7, 4)]) }).Total.Item();
        }

        var inputs = new Step(Times, Side).Inputs();
        var replaced = LowFrequencies.Replace(inputs.Estimate.Z0.Value, inputs.Noisy.Clean.Value, frequencies);
        var expected = Of(0, inputs with { Estimate = Step.Flow.FromEstimate(inputs.Noisy, new Latent(replaced)) });
        Assert.Equal(expected, Of(frequencies, inputs), 1e-12);
        Assert.NotEqual(expected, Of(0, inputs), 1e-6);
    }

    [Fact]
    public void Without_a_halo_the_mean_over_windows_is_another_one()
    {
        var step = new Step(Times, Side);
        var (whole, windows) = (Whole(Pixel, step), Expectation(Pixel with { DecodeHalo = 0 }, step));
        Assert.True(Math.Abs((windows.Loss / whole.Loss) - 1) > 1e-3, $"{whole.Loss} and {windows.Loss}");
    }

    [Fact]
    public void A_tiny_autoencoder_has_the_expectation_of_whole_pictures()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 5);
        using var tiny = new AutoencoderTiny(
            new()
            {
                LatentChannels = 2,
                EncoderChannels = 4,
                DecoderChannels = 4,
                NumEncoderBlocks = [1, 1],
                NumDecoderBlocks = [1, 1],
            }
        );
        tiny.Parameters.Initialise(generator, Device.Cpu);
        tiny.Parameters.RequireGrad(false);
        // 1 + 3 convolutions of latents, 1 + 3 + 1 of half latents: 6½ latents.
        var options = Pixel with
        {
            DecodeCrop = 6,
            DecodeHalo = 14,
        };
        var step = new Step(Times, 18);
        AssertEqual(Whole(options, step, null, tiny), Expectation(options, step, null, tiny), 2e-5);
    }

    [Fact]
    public void A_window_is_standardised_by_its_own_statistics()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            LatentWeight = 0,
            Perceptual = new()
            {
                Weight = 1,
                Gate = GateKind.None,
                Taps = [1],
                TargetFrequencies = 0,
                ErrorScale = 1,
            },
            DecodeCrop = 20,
            DecodeHalo = 4 * Field,
        };
        var set = new ObjectiveSet(options, decoder);
        var inputs = new Step(Times, Side).Inputs();
        var windows = new DecodeWindows(set.Crop!, Side, Side, [(0, 3), (6, 2)]);
        var value = set.Evaluate(inputs with { Windows = windows }).Total.Item();
        // The same from maps of the whole picture, cut afterwards.
        DecodedTaps Cut(Latent z)
        {
            var map = decoder.DecodeWithTaps(z, new TapRequest([1])).Features[0];
            var parts = windows.Places.Select((p, k) => map.Narrow(0, k, 1).Narrow(2, 2 * p.Top, 10).Narrow(3, 2 * p.Left, 10));
            return new DecodedTaps([Ops.Cat([.. parts], 0)], null);
        }

        var objective = new LatentPerceptualObjective(options.Perceptual!, decoder);
        var samples = new DecodedSamples(Cut(inputs.Estimate.Z0), Cut(inputs.Noisy.Clean), null);
        Assert.Equal(objective.PerSample(samples, new HealthLog(scope)).Mean().Item(), value, 1e-12);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Micro_batches_do_not_change_the_result(int decodeBatch)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            Perceptual = new() { Weight = 3 },
            Pixel = new() { Weight = 2 },
            DecodeCrop = 16,
        };
        double[] times = [0.9, 0.2, 0.6];
        var whole = Evaluate(options);
        var cut = Evaluate(options with { DecodeBatch = decodeBatch });
        Assert.Equal(whole.Loss, cut.Loss, 1e-12);
        Assert.All(whole.Gradient.Zip(cut.Gradient), p => Assert.Equal(p.First, p.Second, 1e-12));

        (double Loss, double[] Gradient) Evaluate(ObjectiveOptions chosen)
        {
            var (set, step) = (new ObjectiveSet(chosen, decoder), new Step(times, Side));
            var windows = new DecodeWindows(set.Crop!, Side, Side, [(0, 7), (3, 3), (5, 0)]);
            var total = set.Evaluate(step.Inputs() with { Windows = windows }).Total;
            return (total.Item(), Autograd.Grad([total], [step.Prediction])[0]!.ToArray<double>());
        }
    }

    [Fact]
    public void The_gradient_equals_central_differences()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            Perceptual = new() { Weight = 3, StatisticsGradient = null },
            Pixel = new() { Weight = 2 },
            DecodeCrop = 12,
            DecodeHalo = 4,
        };
        var (set, step) = (new ObjectiveSet(options, decoder), new Step(Times, 7));
        var windows = new DecodeWindows(set.Crop!, 7, 7, [(0, 2), (4, 4)]);
        ObjectiveInputs Inputs() => step.Inputs() with { Windows = windows };
        var gradient = Autograd.Grad([set.Evaluate(Inputs()).Total], [step.Prediction])[0]!.ToArray<double>();
        FiniteDifferences.Check(step.Prediction, gradient, () => set.Evaluate(Inputs()).Total.Item(), stride: 5);
    }

    [Fact]
    public void The_logged_norm_is_scaled_to_whole_pictures()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var (set, step) = (new ObjectiveSet(Pixel, decoder), new Step(Times, Side));
        var windows = new DecodeWindows(set.Crop!, Side, Side, [(2, 7), (1, 0)]);
        var terms = set.Evaluate(step.Inputs() with { Windows = windows });
        var gradient = Autograd.Grad([terms.Total], [step.Prediction])[0]!.ToArray<double>();
        var share = 4.0 * 4 / (Side * Side);
        Assert.Equal(Math.Sqrt(share * gradient.Sum(static g => g * g)), terms.Figures["pixel/gradient_norm"].Value, 1e-12);
    }

    [Fact]
    public void A_sum_over_pixels_is_that_of_the_whole_picture()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var options = new PreferenceOptions
        {
            Space = PreferenceSpace.Pixel,
            Estimate = PixelEstimate.X0,
            Target = PixelTarget.Decoding,
            Reduction = ErrorReduction.Sum,
        };
        var (a, b) = (Ops.Randn([2, 3, 8, 8], generator), Ops.Randn([2, 3, 8, 8], generator));
        var crop = new DecodeCrop(2, 0, 4);
        // Windows of pictures of 24 x 32 pixels, far from all borders: weights are 1.
        var windows = new DecodeWindows(crop, 6, 8, [(2, 3), (2, 3)]);
        var errors = DecodedPreferenceObjective
            .Pixels(options)
            .PerSample(new DecodedSamples(new([], a), new([], b), null) { Windows = windows }, new HealthLog(scope));
        var expected = (a - b).Square().Mean([1L, 2, 3]) * (3.0 * 24 * 32);
        Assert.Equal(expected.ToArray<float>(), errors.ToArray<float>(), (x, y) => Math.Abs(x - y) < 1e-5 * x);
    }

    [Theory]
    [InlineData(18, null, "decodeCrop is 18; it must be a multiple of 4")]
    [InlineData(16, 6, "decodeHalo is 6; it must be a multiple of 4")]
    [InlineData(4, 0, "decodeCrop is 4; it must be at least 8, 2 latents")]
    public void Sizes_that_do_not_fit_the_autoencoder_are_refused(int crop, int? halo, string message)
    {
        using var decoder = new ScriptedDecoder();
        var options = Pixel with { DecodeCrop = crop, DecodeHalo = halo };
        Assert.Contains(message, Assert.Throws<UsageException>(() => new ObjectiveSet(options, decoder)).Message);
    }

    [Fact]
    public void A_picture_smaller_than_the_window_is_refused()
    {
        using var generator = Generator.Create(Device.Cpu, 3);
        var message = Assert.Throws<UsageException>(() => new DecodeCrop(8, 0, 8).Draw(1, 7, 9, generator)).Message;
        Assert.Equal("objective.decodeCrop is 64, but a picture has 72 x 56 pixels.", message);
    }

    private static (double Loss, double[] Gradient) Whole(
        ObjectiveOptions options,
        Step step,
        LossMask? mask = null,
        IAutoencoder? autoencoder = null
    ) => Evaluate(options with { DecodeCrop = null, DecodeHalo = null }, step, mask, autoencoder, _ => null);

    /// <summary>Mean over all windows, by their probabilities.</summary>
    private static (double Loss, double[] Gradient) Expectation(
        ObjectiveOptions options,
        Step step,
        LossMask? mask = null,
        IAutoencoder? autoencoder = null
    )
    {
        var length = (int)step.Prediction.Shape[2];
        using var scope = TensorScope.Enter();
        using var scripted = autoencoder is null ? new ScriptedDecoder() : null;
        var crop = new ObjectiveSet(options, autoencoder ?? scripted!).Crop!;
        var gradient = new double[step.Prediction.Count];
        double loss = 0;
        for (var top = 0; top <= length - crop.Side; top++)
        for (var left = 0; left <= length - crop.Side; left++)
        {
            var place = (top, left);
            var one = Evaluate(
                options,
                step,
                mask,
                autoencoder,
                c => new DecodeWindows(c!, length, length, [.. Enumerable.Repeat(place, Times.Length)])
            );
            var probability = crop.Probability(top, length) * crop.Probability(left, length);
            loss += probability * one.Loss;
            for (var k = 0; k < gradient.Length; k++)
                gradient[k] += probability * one.Gradient[k];
        }

        return (loss, gradient);
    }

    private static (double Loss, double[] Gradient) Evaluate(
        ObjectiveOptions options,
        Step step,
        LossMask? mask,
        IAutoencoder? autoencoder,
        Func<DecodeCrop?, DecodeWindows?> windows
    )
    {
        using var scope = TensorScope.Enter();
        using var scripted = autoencoder is null ? new ScriptedDecoder() : null;
        var set = new ObjectiveSet(options, autoencoder ?? scripted!);
        var total = set.Evaluate(step.Inputs() with { Mask = mask, Windows = windows(set.Crop) }).Total;
        return (total.Item(), Autograd.Grad([total], [step.Prediction])[0]!.To(DType.Float64).ToArray<double>());
    }

    private static void AssertEqual(
        (double Loss, double[] Gradient) expected,
        (double Loss, double[] Gradient) actual,
        double tolerance = 1e-11
    )
    {
        Assert.Equal(expected.Loss, actual.Loss, tolerance * expected.Loss);
        var scale = expected.Gradient.Max(Math.Abs);
        Assert.All(expected.Gradient.Zip(actual.Gradient), p => Assert.Equal(p.First, p.Second, tolerance * scale));
    }
}
