using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Perception;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Objectives.Autoencoder;

/// <summary>Reconstruction error.</summary>
public enum ReconstructionError
{
    /// <summary>Mean absolute difference; sharper.</summary>
    L1,

    /// <summary>Mean squared difference.</summary>
    L2,
}

/// <summary>Options of an autoencoder's training.</summary>
public sealed record AutoencoderLossOptions
{
    /// <summary>Reconstruction error: l1 or l2.</summary>
    public ReconstructionError Reconstruction { get; init; } = ReconstructionError.L1;

    /// <summary>Weight of the KL divergence, averaged over latent elements, at least 0; 1e-6 is usual for latent diffusion.</summary>
    [Bounds(AtLeast = 0)]
    public double KlWeight { get; init; } = 1e-6;

    /// <summary>Weight of the Laplacian-pyramid term, a perceptual loss without a network, at least 0; 0 disables it.</summary>
    [Bounds(AtLeast = 0)]
    public double PyramidWeight { get; init; }

    /// <summary>Levels of the pyramid, from 1 to 10; only with a pyramid. Default: 4, or fewer for small images.</summary>
    [Bounds(AtLeast = 1, AtMost = 10)]
    public int? PyramidLevels { get; init; }

    /// <summary>Perceptual term on a network; null disables it.</summary>
    public PerceptualOptions? Perceptual { get; init; }

    /// <summary>Adversarial term with a patch discriminator; null disables it.</summary>
    public AdversarialOptions? Adversarial { get; init; }

    /// <summary>Trains the decoder alone: latents, and denoisers trained on them, stay valid.</summary>
    public bool DecoderOnly { get; init; }

    internal void Validate(Requirements check)
    {
        check.Members(this);
        Perceptual?.Validate(check.Under(nameof(Perceptual)));
        Adversarial?.Validate(check.Under(nameof(Adversarial)));
        check.That(
            PyramidLevels is null || PyramidWeight > 0,
            nameof(PyramidLevels),
            "has no effect while pyramidWeight is 0; leave it out or give pyramidWeight"
        );
    }
}

/// <summary>
/// The training loss of a latent diffusion model's autoencoder: reconstruction + KL, and optionally a Laplacian pyramid, a perceptual and
/// an adversarial term (Rombach et al. 2022, eq. 25 and appendix G). As in Esser et al. (2021, eq. 7), the adversarial term is scaled in
/// every batch to the gradient of the terms before it at the decoder's last layer.
/// </summary>
public sealed class AutoencoderLoss
{
    /// <summary>Log name of the factor of the adversarial term, without its weight.</summary>
    public const string FactorFigure = "adversarial/factor";

    // Bounds of the factor, of the published implementation.
    private const double Smallest = 1e-4;
    private const double MostFactor = 1e4;

    private readonly AutoencoderLossOptions _options;
    private readonly IPerceptualDistance? _perceptual;
    private readonly Parameter? _lastLayer;

    /// <param name="options">Validated options.</param>
    /// <param name="perceptual">Network of the perceptual term; null without one. Not disposed here.</param>
    /// <param name="lastLayer">Weight of the decoder's last layer, for the adversarial term; null without one.</param>
    public AutoencoderLoss(AutoencoderLossOptions options, IPerceptualDistance? perceptual = null, Parameter? lastLayer = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_options, _perceptual, _lastLayer) = (options, perceptual, lastLayer);
        Names =
        [
            "reconstruction",
            "kl",
            .. options.PyramidWeight > 0 ? ["pyramid"] : Array.Empty<string>(),
            .. options.Perceptual is null ? Array.Empty<string>() : ["perceptual"],
            .. options.Adversarial is null ? Array.Empty<string>() : ["adversarial"],
        ];
    }

    /// <summary>Names of the terms, in order.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Loss of a batch.</summary>
    /// <param name="images">[batch, 3, height, width] in [−1, 1].</param>
    /// <param name="decoded">Reconstructions of the same shape, in the graph.</param>
    /// <param name="posterior">Posterior of the encoder, in the graph.</param>
    /// <param name="adversary">Discriminator of the adversarial term; null before its start.</param>
    public LossTerms Evaluate(Tensor images, Tensor decoded, Posterior posterior, Adversary? adversary = null)
    {
        ArgumentNullException.ThrowIfNull(posterior);
        using var scope = TensorScope.Enter();
        var difference = decoded - images;
        var isAbsolute = _options.Reconstruction == ReconstructionError.L1;
        List<(Tensor Raw, double Weight)> terms =
        [
            (isAbsolute ? difference.Abs().Mean() : difference.Square().Mean(), 1),
            (posterior.Kl().Mean() * (1.0 / posterior.Mean.Shape.Skip(1).Aggregate(static (a, b) => a * b)), _options.KlWeight),
        ];
        if (_options.PyramidWeight > 0)
        {
            var levels = _options.PyramidLevels ?? LaplacianPyramid.DefaultLevels(difference);
            terms.Add((LaplacianPyramid.Distance(difference, levels), _options.PyramidWeight));
        }

        if (_options.Perceptual is { } perceptual)
            terms.Add((_perceptual!.Distances((decoded + 1) * 0.5, (images + 1) * 0.5).Mean(), perceptual.Weight));
        var total = terms.Select(static t => t.Raw * t.Weight).Aggregate(static (a, b) => a + b);
        Dictionary<string, HealthFigure> health = new(StringComparer.Ordinal);
        if (_options.Adversarial is { } adversarial)
        {
            var deception = adversary?.Deception(decoded) ?? Ops.Zeros([], dtype: DType.Float32, device: images.Device);
            var factor = adversary is null ? 0 : Factor(total, deception);
            health[FactorFigure] = new(HealthKind.Ratio, factor, 1);
            terms.Add((deception, adversarial.Weight * factor));
            total += deception * (adversarial.Weight * factor);
        }

        double[] values = [.. terms.Select(static t => t.Raw.Item())];
        // The adversarial term can be negative.
        var sum = terms.Select((t, k) => Math.Abs(values[k] * t.Weight)).Sum();
        var mse = difference.Detach().Square().Mean().Item();
        // The range [−1, 1] spans 2, so the peak signal's power is 4.
        health["reconstruction/psnr"] = new(HealthKind.Ratio, 10 * Math.Log10(4 / Math.Max(mse, 1e-12)), 1);
        health["latent/deviation"] = new(HealthKind.Ratio, posterior.Mean.Detach().Std([0L, 1, 2, 3], 1).Item(), 1);
        return new LossTerms(
            scope.Keep(total),
            [.. terms.Select((t, k) => new LossTerm(Names[k], values[k], values[k] * t.Weight, sum == 0 ? 0 : values[k] * t.Weight / sum))],
            health
        );
    }

    /// <summary>Ratio of the two gradients at the decoder's last layer; 1 without autograd.</summary>
    private double Factor(Tensor others, Tensor deception)
    {
        if (!Autograd.IsEnabled)
            return 1;
        double Norm(Tensor loss) =>
            Autograd.Grad([loss], [_lastLayer!.Value], retainGraph: true)[0]!.To(DType.Float64).Square().Sum().Sqrt().Item();
        return Math.Min(Norm(others) / (Norm(deception) + Smallest), MostFactor);
    }
}
