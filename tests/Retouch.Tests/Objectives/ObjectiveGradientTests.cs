using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>The gradient of the total at the prediction equals central differences of the total.</summary>
public sealed class ObjectiveGradientTests
{
    private static readonly double[] Times = [0.2, 0.7, 0.9];

    public static TheoryData<Normalisation, StatisticsSource, FeatureDifference, bool, bool> Normalisations()
    {
        var cases = new TheoryData<Normalisation, StatisticsSource, FeatureDifference, bool, bool>();
        foreach (var normalisation in Enum.GetValues<Normalisation>())
        {
            foreach (
                var statistics in normalisation == Normalisation.None ? [StatisticsSource.Estimate] : Enum.GetValues<StatisticsSource>()
            )
            {
                cases.Add(normalisation, statistics, FeatureDifference.Squared, true, true);
                cases.Add(normalisation, statistics, FeatureDifference.Absolute, true, false);
                cases.Add(normalisation, statistics, FeatureDifference.Squared, false, true);
            }
        }

        return cases;
    }

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Normalisations))]
    public void Latent_perceptual_loss(
        Normalisation normalisation,
        StatisticsSource statistics,
        FeatureDifference difference,
        bool mask,
        bool outliers
    )
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(
            new()
            {
                Perceptual = new()
                {
                    Weight = 3,
                    Normalisation = normalisation,
                    Statistics = statistics,
                    StatisticsGradient = normalisation == Normalisation.None || statistics == StatisticsSource.Target ? null : 1,
                    Difference = difference,
                    Mask = mask,
                },
            },
            decoder
        );
        var step = new Step(Times, side: outliers ? 16 : 6, outliers: outliers);
        step.CheckGradient(set, stride: outliers ? 41 : 5);
        var health = set.Evaluate(step.Inputs()).Health;
        Assert.Equal(mask && outliers, health["lpl/masked/tap1"] + health["lpl/masked/tap2"] > 0);
    }

    [Theory]
    [InlineData(GateKind.Sigma, null, 2)]
    [InlineData(GateKind.Sigma, 0.3, 1)]
    [InlineData(GateKind.Snr, 0.1, 2)]
    [InlineData(GateKind.Timestep, 900.0, 3)]
    [InlineData(GateKind.T, 0.5, 1)]
    [InlineData(GateKind.None, null, 3)]
    public void Gates(GateKind gate, double? threshold, int active)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        foreach (var reduction in new[] { SampleReduction.Batch, SampleReduction.Active })
        {
            if (gate == GateKind.None && reduction == SampleReduction.Active)
                continue;
            var set = new ObjectiveSet(
                new()
                {
                    Perceptual = new()
                    {
                        Weight = 3,
                        StatisticsGradient = 1,
                        Gate = gate,
                        Threshold = threshold,
                        SampleReduction = reduction,
                    },
                },
                decoder
            );
            var step = new Step(Times);
            step.CheckGradient(set, stride: 17);
            Assert.Equal(active / 3.0, set.Evaluate(step.Inputs()).Health["lpl/active"], 1e-12);
        }
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData(PixelEstimate.Remix, PixelTarget.Image)]
    [InlineData(PixelEstimate.X0, null)]
    [InlineData(PixelEstimate.X0, PixelTarget.Decoding)]
    public void Pixel_loss(PixelEstimate? estimate, PixelTarget? target)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(
            new()
            {
                Pixel = new()
                {
                    Weight = 2,
                    Estimate = estimate,
                    Target = target,
                },
            },
            decoder
        );
        new Step(Times, images: true).CheckGradient(set, stride: 11);
    }

    [Fact]
    public void Everything_at_once()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            LatentWeight = 0.7,
            Perceptual = new()
            {
                Weight = 3,
                StatisticsGradient = 1,
                Rgb = true,
                DepthWeighting = DepthWeighting.Custom,
                DepthWeights = [1, 0.5, 0.25, 0.125],
                PixelReduction = PixelReduction.Kept,
                MaskSource = MaskSource.Target,
            },
            Pixel = new() { Weight = 2, Estimate = PixelEstimate.X0 },
            DecodeBatch = 2,
        };
        new Step(Times, images: true, outliers: true).CheckGradient(new ObjectiveSet(options, decoder), stride: 7);
    }

    [Fact]
    public void The_control_is_the_perturbation_in_latent_space()
    {
        using var scope = TensorScope.Enter();
        var step = new Step(Times);
        var terms = new ObjectiveSet(
            new()
            {
                Pixel = new() { Weight = 2, Space = PixelSpace.Latent },
            },
            null
        );
        var inputs = step.Inputs();
        var expected = (inputs.Noisy.Level.B.View([-1L, 1, 1, 1]) * (inputs.Estimate.Noise - inputs.Noisy.Noise)).Square().Mean().Item();
        Assert.Equal(expected, terms.Evaluate(inputs).Terms[1].Raw, 1e-12);
        step.CheckGradient(terms);
    }
}
