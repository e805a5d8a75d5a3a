using Retouch.Core.Errors;
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
    [Bounds(AtLeast = 0)]
    public double? LatentWeight { get; init; }

    /// <summary>Loss weighting of the diffusion loss over noise levels.</summary>
    public LossWeightingKind LatentWeighting { get; init; } = LossWeightingKind.Uniform;

    /// <summary>With latentWeighting min-snr: γ, above 0. Default 5.</summary>
    [Bounds(Above = 0)]
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
    [Bounds(AtLeast = 1)]
    public int? DecodeBatch { get; init; }

    /// <summary>
    /// Decode a random square window of each picture with this side in pixels, the same of target and estimate: less time and memory,
    /// noisier gradients. A multiple of the pixels per latent. Default: whole pictures.
    /// </summary>
    [Bounds(AtLeast = 2)]
    public int? DecodeCrop { get; init; }

    /// <summary>
    /// With decodeCrop: pixels on each side of the window that are decoded with it, but not compared. Default: 4 latents.
    /// </summary>
    [Bounds(AtLeast = 0)]
    public int? DecodeHalo { get; init; }

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

    /// <summary>These options with explicit defaults of training, so that a run keeps them when a later version has others.</summary>
    public ObjectiveOptions Resolve() => this with { LatentWeight = DiffusionWeight, Perceptual = Perceptual?.OfTraining() };

    /// <summary>Validates the options of all terms.</summary>
    /// <param name="check">Receives the problems.</param>
    public void Validate(Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Members(this);
        check.That(
            DiffusionWeight != 0 || Perceptual is not null || Pixel is not null || Preference is not null,
            nameof(LatentWeight),
            "is 0 and there is no other objective: nothing to train"
        );
        check.That(
            DiffusionWeight != 0 || LatentWeighting == LossWeightingKind.Uniform,
            nameof(LatentWeighting),
            "has no effect while latentWeight is 0"
        );
        check.That(
            MinSnrGamma is null || LatentWeighting == LossWeightingKind.MinSnr,
            nameof(MinSnrGamma),
            "has no effect unless latentWeighting is min-snr"
        );
        check.That(DecodeBatch is null || NeedsDecoder, nameof(DecodeBatch), "has no effect while no objective decodes");
        check.That(DecodeCrop is null || NeedsDecoder, nameof(DecodeCrop), "has no effect while no objective decodes");
        check.That(DecodeHalo is null || DecodeCrop is not null, nameof(DecodeHalo), "has no effect without decodeCrop");
        check.That(!CheckpointDecoder || NeedsDecoder, nameof(CheckpointDecoder), "has no effect while no objective decodes");
        ValidateWeights(check);
        Perceptual?.Validate(check.Under(nameof(Perceptual)));
        Pixel?.Validate(check.Under(nameof(Pixel)));
        Preference?.Validate(check.Under(nameof(Preference)));
    }

    /// <summary>Validates what depends on the formulation of the trained model.</summary>
    /// <param name="formulation">The formulation.</param>
    /// <param name="check">Receives the problems.</param>
    public void ValidateFor(Formulation formulation, Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.That(
            LatentWeighting is not (LossWeightingKind.SigmaSqrt or LossWeightingKind.CosMap) || formulation is FlowFormulation,
            nameof(LatentWeighting),
            $"is {OptionValue.Of(LatentWeighting)}, which is made for rectified flow; use uniform or min-snr"
        );
    }

    private void ValidateWeights(Requirements check)
    {
        TermWeight[] weights = [.. Weights()];
        check.That(
            weights.Sum(static w => w.Share is > 0 and < 1 and var share ? share : 0) < 1,
            $"{check.Name("Weight")}: the shares of all terms must add up to less than 1"
        );
        check.That(
            weights.All(static w => w.Share is null) || DiffusionWeight != 0 || weights.Any(static w => w.Fixed is not null),
            $"{check.Name(nameof(LatentWeight))}: a share needs another term with a fixed weight"
        );
        check.That(
            weights.All(static w => w.GradientRatio is null)
                || DiffusionWeight != 0
                || Preference is { Space: PreferenceSpace.Latent or PreferenceSpace.Both },
            $"{check.Name(nameof(LatentWeight))}: a gradient ratio is relative to the diffusion loss (or a preference on the network's "
                + "output); enable that loss, or give the term a number"
        );
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
