using Retouch.Core.Formatting;
using Retouch.Diffusion;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Objectives.Preference;

namespace Retouch.Objectives;

/// <summary>Options of the training objective.</summary>
public sealed record ObjectiveOptions
{
    /// <summary>
    /// Weight of the diffusion loss, at least 0; 0 disables it ([PIX]'s pixel-only ablation). Default 1; with preferences 0, where it
    /// anchors the model to the winners.
    /// </summary>
    public double? LatentWeight { get; init; }

    /// <summary>Loss weighting of the diffusion loss over noise levels.</summary>
    public LossWeightingKind LatentWeighting { get; init; } = LossWeightingKind.Uniform;

    /// <summary>With latentWeighting min-snr: γ, above 0. Default 5.</summary>
    public double? MinSnrGamma { get; init; }

    /// <summary>The latent perceptual loss; null disables it.</summary>
    public LatentPerceptualOptions? Perceptual { get; init; }

    /// <summary>The pixel-space loss; null disables it.</summary>
    public PixelOptions? Pixel { get; init; }

    /// <summary>
    /// The preference loss on pairs (data.pairs); null disables it. Other terms then apply to winners and single samples only.
    /// </summary>
    public PreferenceOptions? Preference { get; init; }

    /// <summary>Samples per decoder call, at least 1: less memory, same gradients. Default: all at once.</summary>
    public int? DecodeBatch { get; init; }

    /// <summary>Activation checkpointing in the decoder: less memory, one more forward pass.</summary>
    public bool CheckpointDecoder { get; init; }

    /// <summary>Whether any objective decodes.</summary>
    public bool NeedsDecoder => Perceptual is not null || Pixel is { Space: PixelSpace.Pixel } || Preference is { NeedsDecoder: true };

    /// <summary>Whether any objective needs images, so that cached latents alone are not sufficient.</summary>
    public bool NeedsImages =>
        Preference is { NeedsImages: true }
        || (
            Pixel is { Space: PixelSpace.Pixel } p
            && (p.Target ?? (p.Estimate == PixelEstimate.X0 ? PixelTarget.Image : PixelTarget.Decoding)) == PixelTarget.Image
        );

    /// <summary>Whether any term applies to single samples.</summary>
    public bool Imitates => DiffusionWeight > 0 || Perceptual is not null || Pixel is not null;

    /// <summary>Weight of the diffusion loss, with the default resolved.</summary>
    public double DiffusionWeight => LatentWeight ?? (Preference is null ? 1 : 0);

    /// <summary>Validation problems, one sentence each; empty for valid options.</summary>
    /// <param name="path">Path of the options in messages, such as <c>objectives</c>.</param>
    /// <param name="formulation">Formulation of the trained model, if known.</param>
    public IReadOnlyList<string> Validate(string path, Formulation? formulation = null)
    {
        var problems = new Problems(path);
        problems.When(!double.IsFinite(DiffusionWeight) || DiffusionWeight < 0, "latentWeight", "must be a number, at least 0");
        problems.When(
            DiffusionWeight == 0 && Perceptual is null && Pixel is null && Preference is null,
            "latentWeight",
            "is 0 and there is no other objective: nothing to train"
        );
        problems.When(
            DiffusionWeight == 0 && LatentWeighting != LossWeightingKind.Uniform,
            "latentWeighting",
            "has no effect while latentWeight is 0"
        );
        problems.When(
            LatentWeighting is LossWeightingKind.SigmaSqrt or LossWeightingKind.CosMap && formulation is not (null or FlowFormulation),
            "latentWeighting",
            $"{OptionValue.Of(LatentWeighting)} is made for rectified flow; use uniform or min-snr"
        );
        problems.When(
            MinSnrGamma is not null && LatentWeighting != LossWeightingKind.MinSnr,
            "minSnrGamma",
            "has no effect unless latentWeighting is min-snr"
        );
        problems.When(
            MinSnrGamma is not (null or > 0) || MinSnrGamma == double.PositiveInfinity,
            "minSnrGamma",
            "must be a number above 0"
        );
        problems.When(DecodeBatch is < 1, "decodeBatch", "must be at least 1");
        problems.When(DecodeBatch is not null && !NeedsDecoder, "decodeBatch", "has no effect while no objective decodes");
        problems.When(CheckpointDecoder && !NeedsDecoder, "checkpointDecoder", "has no effect while no objective decodes");
        TermWeight[] weights = [.. Weights()];
        problems.When(weights.Sum(static w => w.Share ?? 0) >= 1, "weight", "the shares of all terms must add up to less than 1");
        problems.When(
            weights.Any(static w => w.Share is not null) && DiffusionWeight == 0 && weights.All(static w => w.Fixed is null),
            "latentWeight",
            "a share needs another term with a fixed weight"
        );
        problems.When(
            weights.Any(static w => w.GradientRatio is not null)
                && DiffusionWeight == 0
                && Preference is not { Space: PreferenceSpace.Latent or PreferenceSpace.Both },
            "latentWeight",
            "a gradient ratio is relative to the diffusion loss (or a preference on the network's output); "
                + "enable that loss, or give the term a number"
        );
        return
        [
            .. problems.List,
            .. Perceptual?.Validate(path + ".perceptual") ?? [],
            .. Pixel?.Validate(path + ".pixel") ?? [],
            .. Preference?.Validate(path + ".preference") ?? [],
        ];
    }

    /// <summary>Weights of all terms but the diffusion loss.</summary>
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
