using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Objectives.Preference;

namespace Retouch.Tests.Objectives.Preference;

public sealed class PreferenceOptionsTests
{
    public static TheoryData<string, PreferenceOptions> Wrong() =>
        new()
        {
            {
                "beta",
                new() { Beta = 0 }
            },
            {
                "beta",
                new() { Beta = double.PositiveInfinity }
            },
            {
                "beta",
                new() { Method = PreferenceMethod.Simpo }
            },
            {
                "pixelBeta",
                new() { PixelBeta = 2 }
            },
            {
                "pixelBeta",
                new() { Space = PreferenceSpace.Both, PixelBeta = -2 }
            },
            {
                "gamma",
                new() { Gamma = 1 }
            },
            {
                "gamma",
                new()
                {
                    Method = PreferenceMethod.Simpo,
                    Beta = 1,
                    Gamma = -1,
                }
            },
            {
                "reference",
                new()
                {
                    Method = PreferenceMethod.Simpo,
                    Beta = 1,
                    Reference = ReferenceKind.Live,
                }
            },
            {
                "reduction",
                new() { Space = PreferenceSpace.Features, Reduction = ErrorReduction.Sum }
            },
            {
                "weight",
                new() { Weight = 0 }
            },
            {
                "pixelWeight",
                new() { PixelWeight = 1 }
            },
            {
                "pixelWeight",
                new() { Space = PreferenceSpace.Both, PixelWeight = 0 }
            },
            {
                "estimate",
                new() { Estimate = PixelEstimate.X0 }
            },
            {
                "target",
                new() { Space = PreferenceSpace.Features, Target = PixelTarget.Image }
            },
            {
                "features",
                new() { Features = new() }
            },
            {
                "features.weight",
                new()
                {
                    Space = PreferenceSpace.Features,
                    Features = new() { Weight = 1 },
                }
            },
            {
                "features.taps",
                new()
                {
                    Space = PreferenceSpace.Features,
                    Features = new() { Taps = [2, 1] },
                }
            },
            {
                "divergence.bound",
                new() { Divergence = new() { Bound = -1 } }
            },
            {
                "divergence.steps",
                new() { Divergence = new() { Steps = 0 } }
            },
            {
                "divergence.steps",
                new()
                {
                    Divergence = new() { Bound = 0, Steps = 7 },
                }
            },
            {
                "divergence.spike",
                new() { Divergence = new() { Spike = double.NaN } }
            },
        };

    private static IReadOnlyList<string> Problems(ObjectiveOptions options)
    {
        var check = Requirements.OfFile("objective");
        options.Validate(check);
        return check.Problems;
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Invalid_and_ineffective_options_are_rejected(string member, PreferenceOptions options)
    {
        var problem = Assert.Single(Problems(new ObjectiveOptions { Preference = options }));
        Assert.Matches($"^objective\\.preference\\.{Regex.Escape(member)}:? ", problem);
    }

    [Fact]
    public void Preferences_disable_the_diffusion_loss_by_default()
    {
        Assert.Equal(1, new ObjectiveOptions().DiffusionWeight);
        Assert.Equal(0, new ObjectiveOptions { Preference = new() }.DiffusionWeight);
        Assert.Equal(0.2, new ObjectiveOptions { Preference = new(), LatentWeight = 0.2 }.DiffusionWeight);
        Assert.Empty(Problems(new ObjectiveOptions { Preference = new() }));
        Assert.Empty(
            Problems(
                new ObjectiveOptions
                {
                    Preference = new(),
                    Perceptual = new() { Weight = TermWeight.Auto },
                }
            )
        );
        Assert.Equal(
            ["objective.latentWeight is 0 and there is no other objective: nothing to train"],
            Problems(new ObjectiveOptions { LatentWeight = 0 })
        );
    }

    [Fact]
    public void The_space_determines_the_required_inputs()
    {
        static ObjectiveOptions Of(PreferenceSpace space, PixelEstimate? estimate = null) =>
            new()
            {
                Preference = new() { Space = space, Estimate = estimate },
            };
        Assert.False(Of(PreferenceSpace.Latent).NeedsDecoder);
        Assert.True(Of(PreferenceSpace.Features).NeedsDecoder);
        Assert.False(Of(PreferenceSpace.Both).NeedsImages);
        Assert.True(Of(PreferenceSpace.Both, PixelEstimate.X0).NeedsImages);
    }
}
