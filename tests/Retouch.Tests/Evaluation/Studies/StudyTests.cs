using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Evaluation.Studies;
using Retouch.Tests.Autoencoders;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Evaluation.Studies;

public sealed class StudyTests
{
    [Theory]
    [InlineData(Interpolation.Nearest)]
    [InlineData(Interpolation.Bilinear)]
    [InlineData(Interpolation.Bicubic)]
    public void An_identity_autoencoder_gives_equal_errors_for_pixels_and_latents(Interpolation how)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 1);
        var images = Ops.Rand([3, 3, 16, 16], generator, dtype: DType.Float32) * 2 - 1;
        using var identity = new Identity();
        var results = LatentStructure.Measure(images, identity, [2, 4], 2, null, Device.Cpu).Where(r => r.Interpolation == how).ToArray();
        Assert.Equal(4, results.Length);
        foreach (var result in results)
        {
            var plain = (LatentStructure.DownAndUp(images, result.Factor, how) - images).Square().Mean().Item();
            Assert.Equal(plain, result.Mse, 6);
            // The latents of this autoencoder are its pictures.
            Assert.Equal(plain, result.Latent, 6);
            Assert.True(result.Features > 0);
            Assert.Equal(2, result.Examples.Count);
        }
    }

    [Fact]
    public void Fractional_factors_round_the_small_side()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var images = (Ops.Rand([2, 3, 16, 16], generator, dtype: DType.Float32) * 2) - 1;
        // 16 / 1.3 is 12.3.
        var by = LatentStructure.DownAndUp(images, 1.3, Interpolation.Bilinear);
        var as12 = Ops.UpsampleBilinear2dAa(images, [12, 12], false).UpsampleBilinear2d([16, 16], false);
        Assert.Equal(0, (by - as12).Abs().Max().Item());
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var network = AutoencoderKlTests.Load(golden);
        foreach (var result in LatentStructure.Measure(images, network, [1.3], 1, null, Device.Cpu))
        {
            var latent = network.Encode(images, null).Value;
            var changed =
                result.Space == StudySpace.Latents
                    ? LatentStructure.DownAndUp(latent, 1.3, result.Interpolation)
                    : network.Encode(LatentStructure.DownAndUp(images, 1.3, result.Interpolation), null).Value;
            Assert.Equal((changed - latent).Square().Mean().Item(), result.Latent, 6);
        }

        foreach (var factor in (double[])[1, 0.5, 1.01, 100, double.NaN])
            Assert.Throws<UsageException>(() => LatentStructure.Measure(images, network, [factor], 1, null, Device.Cpu));
    }

    [Fact]
    public void Nearest_interpolation_has_the_closed_form()
    {
        using var scope = TensorScope.Enter();
        // Columns 0, 1, 0, 1, …: downsampling takes the first of each two, so that every second column is off by 1.
        var values = new float[3 * 8 * 8];
        for (var k = 0; k < values.Length; k++)
            values[k] = k % 2;
        using var identity = new Identity();
        var results = LatentStructure.Measure(Tensor.From(values, 1, 3, 8, 8), identity, [2], 1, null, Device.Cpu);
        Assert.All(results.Where(static r => r.Interpolation == Interpolation.Nearest), static r => Assert.Equal(0.5, r.Mse, 6));
    }

    [Fact]
    public void Planted_outliers_are_counted()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 2);
        // Uniform values have no outliers by the rule; 10 of 1024 pixels are planted ones.
        var values = Ops.Rand([1, 2, 32, 32], generator, dtype: DType.Float32).ToArray<float>();
        var place = new DecoderTap("tap", 2, 1);
        var none = TapStudy.Facts(0, place, Tensor.From(values, 1, 2, 32, 32));
        Assert.Equal(0, none.Outliers, 9);
        Assert.Equal(0, none.OutlierEnergy, 6);
        Assert.Equal(0.5, none.Magnitude, 1);
        Assert.Equal(1 / Math.Sqrt(12), none.Deviation, 1);
        for (var k = 0; k < 10; k++)
            values[k * 97] = 50;
        var planted = TapStudy.Facts(0, place, Tensor.From(values, 1, 2, 32, 32));
        // In one of two channels.
        Assert.Equal(10.0 / 2048, planted.Outliers, 6);
        Assert.InRange(planted.OutlierEnergy, 0.9, 1);
        Assert.InRange(planted.Peak, 9, 11);
        // A constant map has no outliers, and does not dilute those of the others.
        var dead = TapStudy.Facts(0, place with { Channels = 3 }, Tensor.From([.. values, .. Enumerable.Repeat(7f, 1024)], 1, 3, 32, 32));
        Assert.Equal(planted.Outliers, dead.Outliers, 6);
        Assert.Equal(1.0 / 3, dead.Constant, 6);
        Assert.Equal(0, planted.Constant, 6);
    }

    [Fact]
    public void A_constant_map_is_grey_without_outliers()
    {
        using var scope = TensorScope.Enter();
        using var identity = new Identity();
        float[] values = [.. Enumerable.Range(0, 64).Select(static k => k == 9 ? 40f : k % 8), .. Enumerable.Repeat(0.25f, 128)];
        var maps = FeatureMaps.Draw(Tensor.From(values, 1, 3, 8, 8), identity, [0], 3, Device.Cpu);
        // The channel with the outlier comes first.
        Assert.Equal([0, 1, 2], maps.Select(static m => m.Channel));
        Assert.Equal([1.0 / 64, 0, 0], maps.Select(static m => m.Outliers));
        Assert.Equal((230, 30, 30), (maps[0].Map[1, 1].R, maps[0].Map[1, 1].G, maps[0].Map[1, 1].B));
        Assert.All(
            Enumerable.Range(0, 8),
            k => Assert.Equal((128, 128, 128), (maps[1].Map[k, k].R, maps[1].Map[k, k].G, maps[1].Map[k, k].B))
        );
    }

    [Fact]
    public void A_proposal_has_an_accurate_gate_and_balanced_taps()
    {
        TapFacts Tap(int k, double outliers) => new(k, new DecoderTap($"tap{k}", 4, 1 << k), 1, 1, 3, outliers, 0, 0);
        LevelFacts Level(double sigma, double error) =>
            new(sigma / 10, sigma, error, 0.4, [error, error, error, error], [error, 4 * error, 2 * error, error], [0, 0, 0], sigma / 10);
        var study = new TapStudyResult(
            8,
            [Tap(0, 0), Tap(1, 0.01), Tap(2, 0.5), Tap(3, 0)],
            [Level(0.5, 0.1), Level(1, 0.2), Level(3, 0.3), Level(9, 0.9)]
        );
        var proposal = TapProposal.Of(study);
        // The last is the most expensive, the third has too many outliers.
        Assert.Equal([0, 1], proposal.Taps);
        Assert.Equal(3, proposal.Threshold);
        Assert.Equal([1, 0.25], proposal.Weights);
        // Under the gate a tap's loss is 0.2 on average, three levels of four are open: w · 0.75 · 0.4 = 0.4 · 0.2 / 0.8.
        Assert.Equal(0.333, proposal.Weight, 3);
        Assert.Contains("The gate is open for about 75 % of uniform timesteps.", proposal.Reasons);
        // Of the levels up to 3: 0.05, 0.1 and 0.3.
        Assert.Contains(
            proposal.Reasons,
            static r => r.StartsWith("Up to σ = 3, ", StringComparison.Ordinal) && r.Contains(" cosine of 0.15: ")
        );
        // A rarely open gate is reported.
        var weak = TapProposal.Of(study with { Levels = [Level(0.5, 0.1), .. Enumerable.Range(1, 9).Select(k => Level(k, 0.9))] });
        Assert.Equal(0.5, weak.Threshold);
        Assert.Contains(weak.Reasons, static r => r.Contains("about 10 % of uniform timesteps: few steps", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Alignment_has_the_closed_form_of_scaled_channels(double spread)
    {
        const int Side = 32;
        const double Error = 1e-3;
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 8);
        using var identity = new Identity();
        // Uniform values have no outliers. The last channel varies more, so that its normalised error has a smaller gradient.
        var target = (Ops.Rand([5, 3, Side, Side], generator, dtype: DType.Float32) * 2) - 1;
        target.Narrow(1, 2, 1).MulInPlace(spread);
        var error = Ops.Rand([5, 3, Side, Side], generator, dtype: DType.Float32).Sub(0.5).Sign() * Error;
        var variances = target.To(DType.Float64).Var([2L, 3], 0).ToArray<double>();
        var expected = Enumerable
            .Range(0, 5)
            .Average(n =>
            {
                // The default floor is 5 % of the layer's mean variance.
                var own = variances.AsSpan(3 * n, 3).ToArray();
                double[] gains = [.. own.Select(v => 1 / (v + (0.05 * own.Average())))];
                return gains.Sum() / Math.Sqrt(3 * gains.Sum(static g => g * g));
            });
        Assert.True(spread == 1 ? expected > 0.999 : expected < 0.9, $"{expected}");
        Assert.Equal(expected, TapStudy.Alignment(identity, target, target + error), 3);
    }

    /// <summary>Latents and decoder features are the pictures themselves.</summary>
    private sealed class Identity : IAutoencoder
    {
        public int LatentChannels => 3;

        public int Downsampling => 1;

        public IReadOnlyList<DecoderTap> Taps { get; } = [new("identity", 3, 1)];

        public bool ForceUpcast => false;

        public ParameterStore Parameters { get; } = new();

        public Latent Encode(Tensor images, Generator? generator) => new(images);

        public Tensor EncodeMoments(Tensor images) => images;

        public Latent Draw(Tensor moments, Generator? generator) => new(moments);

        public Tensor Decode(Latent latent) => latent.Value;

        public DecodedTaps DecodeWithTaps(Latent latent, TapRequest request) => new([latent.Value], request.Rgb ? latent.Value : null);

        public void Dispose() => Parameters.Dispose();
    }
}
