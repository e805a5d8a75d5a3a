using System.ComponentModel;
using Retouch.Diffusion;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Objectives.Preference;

namespace Retouch.Objectives;

/// <summary>What is minimised.</summary>
public sealed record ObjectiveOptions
{
    /// <summary>
    /// Weight of the diffusion loss, at least 0; 0 switches it off ([PIX]'s pixel-only ablation). Default 1. With preferences it anchors
    /// the model to the winners, and is 0 by default.
    /// </summary>
    [Description(
        "Weight of the diffusion loss, at least 0; 0 switches it off ([PIX]'s pixel-only ablation). Default 1. With preferences "
            + "it anchors the model to the winners, and is 0 by default."
    )]
    public double? LatentWeight { get; init; }

    /// <summary>How the diffusion loss weights noise levels against each other.</summary>
    [Description("How the diffusion loss weights noise levels against each other.")]
    public LossWeightingKind LatentWeighting { get; init; } = LossWeightingKind.Uniform;

    /// <summary>With min-SNR: γ, above 0. Default 5.</summary>
    [Description("With min-SNR: γ, above 0. Default 5.")]
    public double? MinSnrGamma { get; init; }

    /// <summary>The latent perceptual loss; null leaves it out.</summary>
    [Description("The latent perceptual loss; null leaves it out.")]
    public LatentPerceptualOptions? Perceptual { get; init; }

    /// <summary>The pixel-space loss; null leaves it out.</summary>
    [Description("The pixel-space loss; null leaves it out.")]
    public PixelOptions? Pixel { get; init; }

    /// <summary>The preference loss on pairs; null leaves it out. The other terms then look at winners and single samples only.</summary>
    [Description(
        "The preference loss on pairs (data.pairs); null leaves it out. The other terms then look at winners and single samples only."
    )]
    public PreferenceOptions? Preference { get; init; }

    /// <summary>How many samples are decoded at a time: less memory, same gradients. Default: all at once.</summary>
    [Description("How many samples are decoded at a time: less memory, same gradients. Default: all at once.")]
    public int? DecodeBatch { get; init; }

    /// <summary>Recompute the decoder's blocks in its backward pass: less memory, one more forward pass.</summary>
    [Description("Recompute the decoder's blocks in its backward pass: less memory, one more forward pass.")]
    public bool CheckpointDecoder { get; init; }

    /// <summary>Whether the decoder is run at all.</summary>
    public bool NeedsDecoder => Perceptual is not null || Pixel is { Space: PixelSpace.Pixel } || Preference is { NeedsDecoder: true };

    /// <summary>Whether the images of a batch are needed, so that a cache of latents alone does not do.</summary>
    public bool NeedsImages =>
        Preference is { NeedsImages: true }
        || (
            Pixel is { Space: PixelSpace.Pixel } p
            && (p.Target ?? (p.Estimate == PixelEstimate.X0 ? PixelTarget.Image : PixelTarget.Decoding)) == PixelTarget.Image
        );

    /// <summary>Whether single samples matter to any term.</summary>
    public bool Imitates => DiffusionWeight > 0 || Perceptual is not null || Pixel is not null;

    /// <summary>The weight of the diffusion loss, the default filled in.</summary>
    public double DiffusionWeight => LatentWeight ?? (Preference is null ? 1 : 0);

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="path">Where the options stand, as <c>objectives</c>.</param>
    /// <param name="formulation">What is trained with, where that is known.</param>
    public IReadOnlyList<string> Validate(string path, Formulation? formulation = null)
    {
        var problems = new Problems(path);
        problems.When(!double.IsFinite(DiffusionWeight) || DiffusionWeight < 0, "latentWeight", "must be a number, at least 0");
        problems.When(
            DiffusionWeight == 0 && Perceptual is null && Pixel is null && Preference is null,
            "latentWeight",
            "is 0 and there is no other objective, so that nothing would be trained"
        );
        problems.When(
            DiffusionWeight == 0 && LatentWeighting != LossWeightingKind.Uniform,
            "latentWeighting",
            "does nothing while latentWeight is 0"
        );
        problems.When(
            LatentWeighting is LossWeightingKind.SigmaSqrt or LossWeightingKind.CosMap && formulation is not (null or FlowFormulation),
            "latentWeighting",
            $"{LatentWeighting} is made for rectified flow; use uniform or min-SNR"
        );
        problems.When(
            MinSnrGamma is not null && LatentWeighting != LossWeightingKind.MinSnr,
            "minSnrGamma",
            "does nothing unless latentWeighting is min-SNR"
        );
        problems.When(
            MinSnrGamma is not (null or > 0) || MinSnrGamma == double.PositiveInfinity,
            "minSnrGamma",
            "must be a number above 0"
        );
        problems.When(DecodeBatch is < 1, "decodeBatch", "must be at least 1");
        problems.When(DecodeBatch is not null && !NeedsDecoder, "decodeBatch", "does nothing while no objective decodes");
        problems.When(CheckpointDecoder && !NeedsDecoder, "checkpointDecoder", "does nothing while no objective decodes");
        TermWeight[] weights = [.. Weights()];
        problems.When(weights.Sum(static w => w.Share ?? 0) >= 1, "weight", "the shares of all terms must add up to less than 1");
        problems.When(
            weights.Any(static w => w.Share is not null) && DiffusionWeight == 0 && weights.All(static w => w.Fixed is null),
            "latentWeight",
            "a weight that is a share needs a term of fixed weight to be scaled against"
        );
        problems.When(
            weights.Any(static w => w.GradientRatio is not null)
                && DiffusionWeight == 0
                && Preference is not { Space: PreferenceSpace.Latent or PreferenceSpace.Both },
            "latentWeight",
            "a weight that is a gradient ratio is measured by the diffusion loss (or a preference on the network's output); "
                + "give that a weight, or the term a number"
        );
        return
        [
            .. problems.List,
            .. Perceptual?.Validate(path + ".perceptual") ?? [],
            .. Pixel?.Validate(path + ".pixel") ?? [],
            .. Preference?.Validate(path + ".preference") ?? [],
        ];
    }

    /// <summary>The weights of all terms but the diffusion loss.</summary>
    private IEnumerable<TermWeight> Weights()
    {
        if (Perceptual is { } lpl)
            yield return lpl.Weight;
        if (Pixel is { } pixel)
            yield return pixel.Weight;
        if (Preference is { } preference)
        {
            yield return preference.Weight;
            if (preference.PixelWeight is { } second)
                yield return second;
        }
    }
}
