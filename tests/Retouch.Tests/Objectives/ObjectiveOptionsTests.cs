using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Tests.Objectives;

public sealed class ObjectiveOptionsTests
{
    public static TheoryData<string, LatentPerceptualOptions> Wrong() =>
        new()
        {
            {
                "weight",
                new() { Weight = 0 }
            },
            {
                "weight",
                new() { Weight = double.NaN }
            },
            {
                "weight.share",
                new() { Weight = TermWeight.OfShare(1) }
            },
            {
                "weight.warmUp",
                new() { Weight = TermWeight.OfShare(0.2, 0) }
            },
            {
                "weight.gradientRatio",
                new() { Weight = TermWeight.OfGradientRatio(0) }
            },
            {
                "weight.gradientRatio",
                new() { Weight = TermWeight.OfGradientRatio(double.NaN) }
            },
            {
                "lastTap",
                new() { Taps = [0], LastTap = true }
            },
            {
                "statistics",
                new() { Normalisation = Normalisation.None, Statistics = StatisticsSource.Estimate }
            },
            {
                "statisticsGradient",
                new() { Statistics = StatisticsSource.Target, StatisticsGradient = 0 }
            },
            {
                "statisticsGradient",
                new() { Statistics = StatisticsSource.Estimate, StatisticsGradient = 1.5 }
            },
            {
                "varianceFloor",
                new() { Normalisation = Normalisation.ChannelNorm, VarianceFloor = 0.1 }
            },
            {
                "varianceFloor",
                new() { VarianceFloor = -1 }
            },
            {
                "maskFromTap",
                new() { MaskFromTap = -1 }
            },
            {
                "maskFromTap",
                new() { Mask = false, MaskFromTap = 2 }
            },
            {
                "minSnrGamma",
                new() { MinSnrGamma = 5 }
            },
            {
                "minSnrGamma",
                new() { NoiseWeighting = NoiseWeighting.MinSnr, MinSnrGamma = 0 }
            },
            {
                "startStep",
                new() { StartStep = -1 }
            },
            {
                "rampSteps",
                new() { RampSteps = -1 }
            },
            {
                "taps",
                new() { Taps = [] }
            },
            {
                "taps",
                new() { Taps = [1, 1] }
            },
            {
                "taps",
                new() { Taps = [2, 0] }
            },
            {
                "taps",
                new() { Taps = [-1, 0] }
            },
            {
                "statisticsGradient",
                new() { StatisticsGradient = 0, Normalisation = Normalisation.None }
            },
            {
                "maskSource",
                new() { Mask = false, MaskSource = MaskSource.Target }
            },
            {
                "quantile",
                new() { Mask = false, Quantile = 0.02 }
            },
            {
                "quantile",
                new() { Quantile = 0.5 }
            },
            {
                "margin",
                new() { Mask = false, Margin = 2 }
            },
            {
                "margin",
                new() { Margin = -1 }
            },
            {
                "opening",
                new() { Mask = false, Opening = 5 }
            },
            {
                "opening",
                new() { Opening = 0 }
            },
            {
                "closing",
                new() { Mask = false, Closing = 3 }
            },
            {
                "closing",
                new() { Closing = -3 }
            },
            {
                "depthWeights",
                new() { DepthWeights = [1, 1] }
            },
            {
                "depthWeights",
                new() { DepthWeighting = DepthWeighting.Custom }
            },
            {
                "depthWeights",
                new() { DepthWeighting = DepthWeighting.Custom, DepthWeights = [1, -1] }
            },
            {
                "depthWeights",
                new() { DepthWeighting = DepthWeighting.Custom, DepthWeights = [0, 0] }
            },
            {
                "depthWeights",
                new()
                {
                    DepthWeighting = DepthWeighting.Custom,
                    Taps = [0, 1],
                    Rgb = true,
                    DepthWeights = [1, 1],
                }
            },
            {
                "threshold",
                new() { Threshold = 0 }
            },
            {
                "threshold",
                new() { Gate = GateKind.Snr }
            },
            {
                "threshold",
                new() { Gate = GateKind.T, Threshold = 1.5 }
            },
            {
                "threshold",
                new() { Gate = GateKind.None, Threshold = 3 }
            },
            {
                "resolutionScale",
                new() { ResolutionScale = 0 }
            },
            {
                "resolutionScale",
                new()
                {
                    ResolutionScale = 2,
                    Mask = false,
                    Gate = GateKind.None,
                }
            },
            {
                "pixelReduction",
                new() { PixelReduction = PixelReduction.Kept, Mask = false }
            },
            {
                "sampleReduction",
                new() { SampleReduction = SampleReduction.Active, Gate = GateKind.None }
            },
        };

    private static IReadOnlyList<string> Problems(string path, ObjectiveOptions options, Formulation? formulation = null)
    {
        var check = Requirements.OfFile(path);
        options.Validate(check);
        if (formulation is not null)
            options.ValidateFor(formulation, check);
        return check.Problems;
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Invalid_and_ineffective_options_are_named(string member, LatentPerceptualOptions options)
    {
        var problem = Assert.Single(Problems("objectives", new ObjectiveOptions { Perceptual = options }));
        Assert.Matches($"^objectives\\.perceptual\\.{member}:? ", problem);
    }

    [Fact]
    public void The_defaults_are_valid() =>
        Assert.Empty(Problems("objectives", new ObjectiveOptions { Perceptual = new(), Pixel = new() }));

    [Fact]
    public void All_problems_are_reported_together()
    {
        var options = new ObjectiveOptions
        {
            LatentWeight = -1,
            DecodeBatch = 0,
            Perceptual = new() { Quantile = 2, Opening = 0 },
            Pixel = new() { Space = PixelSpace.Latent, Estimate = PixelEstimate.X0 },
        };
        string[] members = [.. Problems("o", options).Select(static p => p[..p.IndexOfAny([':', ' '])])];
        Assert.Equal(["o.latentWeight", "o.decodeBatch", "o.perceptual.quantile", "o.perceptual.opening", "o.pixel.estimate"], members);
    }

    [Fact]
    public void An_unused_decoder_needs_no_options()
    {
        Assert.Equal(2, Problems("o", new ObjectiveOptions { DecodeBatch = 4, CheckpointDecoder = true }).Count);
        Assert.Equal(2, Problems("o", new ObjectiveOptions { DecodeCrop = 64, DecodeBatch = 4 }).Count);
        Assert.Equal(
            ["o.decodeHalo has no effect without decodeCrop"],
            Problems("o", new ObjectiveOptions { Pixel = new(), DecodeHalo = 8 })
        );
        Assert.Single(Problems("o", new ObjectiveOptions { LatentWeight = 0 }));
        Assert.Single(
            Problems(
                "o",
                new ObjectiveOptions
                {
                    LatentWeight = 0,
                    Pixel = new() { Weight = TermWeight.Auto },
                }
            )
        );
        Assert.Single(
            Problems(
                "o",
                new ObjectiveOptions
                {
                    LatentWeight = 0,
                    Pixel = new() { Weight = TermWeight.OfGradientRatio(1) },
                }
            )
        );
        Assert.Single(
            Problems(
                "o",
                new ObjectiveOptions
                {
                    Perceptual = new() { Weight = TermWeight.OfShare(0.6) },
                    Pixel = new() { Weight = TermWeight.OfShare(0.4) },
                }
            )
        );
    }

    [Fact]
    public void Weightings_of_noise_levels_are_checked()
    {
        Assert.Single(Problems("o", new ObjectiveOptions { MinSnrGamma = 5 }));
        Assert.Single(Problems("o", new ObjectiveOptions { LatentWeighting = LossWeightingKind.MinSnr, MinSnrGamma = 0 }));
        Assert.Single(
            Problems(
                "o",
                new ObjectiveOptions
                {
                    LatentWeight = 0,
                    Pixel = new() { Weight = 2 },
                    LatentWeighting = LossWeightingKind.MinSnr,
                }
            )
        );
        var cosMap = new ObjectiveOptions { LatentWeighting = LossWeightingKind.CosMap };
        Assert.Empty(Problems("o", cosMap, new FlowFormulation()));
        Assert.Single(Problems("o", cosMap, new DdpmFormulation(NoiseSchedule.ScaledLinear())));
    }

    [Fact]
    public void Options_that_do_not_match_the_decoder_are_rejected()
    {
        using var decoder = new ScriptedDecoder();
        Assert.Contains(
            "taps 0 to 3",
            Assert.Throws<UsageException>(() => new ObjectiveSet(new() { Perceptual = new() { Taps = [4] } }, decoder)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "3 weights",
            Assert
                .Throws<UsageException>(() =>
                    new ObjectiveSet(
                        new()
                        {
                            Perceptual = new() { DepthWeighting = DepthWeighting.Custom, DepthWeights = [1] },
                        },
                        decoder
                    )
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "vae",
            Assert.Throws<UsageException>(() => new ObjectiveSet(new() { Pixel = new() }, null)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Images_are_requested_by_the_terms_that_need_them()
    {
        Assert.False(new ObjectiveOptions { Pixel = new() }.NeedsImages);
        Assert.True(new ObjectiveOptions { Pixel = new() { Estimate = PixelEstimate.X0 } }.NeedsImages);
        Assert.False(
            new ObjectiveOptions
            {
                Pixel = new() { Estimate = PixelEstimate.X0, Target = PixelTarget.Decoding },
            }.NeedsImages
        );
        using var scope = Torch.TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(new() { Pixel = new() { Target = PixelTarget.Image } }, decoder);
        Assert.Throws<UsageException>(() => set.Evaluate(new Step([0.5]).Inputs()));
    }

    [Fact]
    public void A_weight_is_a_number_a_ratio_or_a_share()
    {
        TermWeight[] weights = [3.5, TermWeight.OfGradientRatio(0.3), TermWeight.OfShare(0.2, 50)];
        const string Json = """[3.5,{"gradientRatio":0.3},{"share":0.2,"warmUp":50}]""";
        Assert.Equal(Json, JsonSerializer.Serialize(weights));
        Assert.Equal(weights, JsonSerializer.Deserialize<TermWeight[]>(Json)!);
        Assert.Equal(TermWeight.OfShare(0.2, 200), JsonSerializer.Deserialize<TermWeight>("\"auto\""));
        foreach (
            var wrong in new[]
            {
                "\"much\"",
                "{}",
                """{"share":0.2,"gradientRatio":1}""",
                """{"share":"a"}""",
                """{"ratio":1}""",
                """{"warmUp":5}""",
                """{"share":0.2,"warmUp":1.5}""",
                "[1]",
            }
        )
            Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<TermWeight>(wrong));
    }
}
