using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch;

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

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(
            PyramidLevels is null || PyramidWeight > 0,
            nameof(PyramidLevels),
            "has no effect while pyramidWeight is 0; leave it out or give pyramidWeight"
        );
    }
}

/// <summary>
/// The training loss of a latent diffusion model's autoencoder, without a discriminator: reconstruction + KL (+ Laplacian pyramid) (Rombach
/// et al. 2022, appendix G).
/// </summary>
/// <param name="options">Validated options.</param>
public sealed class AutoencoderLoss(AutoencoderLossOptions options)
{
    /// <summary>Names of the terms, in order.</summary>
    public IReadOnlyList<string> Names { get; } =
        options.PyramidWeight > 0 ? ["reconstruction", "kl", "pyramid"] : ["reconstruction", "kl"];

    /// <summary>Loss of a batch.</summary>
    /// <param name="images">[batch, 3, height, width] in [−1, 1].</param>
    /// <param name="decoded">Reconstructions of the same shape, in the graph.</param>
    /// <param name="posterior">Posterior of the encoder, in the graph.</param>
    public LossTerms Evaluate(Tensor images, Tensor decoded, Posterior posterior)
    {
        ArgumentNullException.ThrowIfNull(posterior);
        using var scope = TensorScope.Enter();
        var difference = decoded - images;
        List<(string Name, Tensor Raw, double Weight)> terms =
        [
            ("reconstruction", options.Reconstruction == ReconstructionError.L1 ? difference.Abs().Mean() : difference.Square().Mean(), 1),
            ("kl", posterior.Kl().Mean() * (1.0 / posterior.Mean.Shape.Skip(1).Aggregate(static (a, b) => a * b)), options.KlWeight),
        ];
        if (options.PyramidWeight > 0)
            terms.Add(
                (
                    "pyramid",
                    LaplacianPyramid.Distance(difference, options.PyramidLevels ?? LaplacianPyramid.DefaultLevels(difference)),
                    options.PyramidWeight
                )
            );
        var total = terms.Select(static t => t.Raw * t.Weight).Aggregate(static (a, b) => a + b);
        var sum = terms.Sum(static t => t.Raw.Item() * t.Weight);
        var mse = difference.Detach().Square().Mean().Item();
        return new LossTerms(
            scope.Keep(total),
            [
                .. terms.Select(t => new LossTerm(
                    t.Name,
                    t.Raw.Item(),
                    t.Raw.Item() * t.Weight,
                    sum == 0 ? 0 : t.Raw.Item() * t.Weight / sum
                )),
            ],
            new Dictionary<string, HealthFigure>(StringComparer.Ordinal)
            {
                // The range [−1, 1] spans 2, so the peak signal's power is 4.
                ["reconstruction/psnr"] = new(HealthKind.Ratio, 10 * Math.Log10(4 / Math.Max(mse, 1e-12)), 1),
                ["latent/deviation"] = new(HealthKind.Ratio, posterior.Mean.Detach().Std([0L, 1, 2, 3], 1).Item(), 1),
            }
        );
    }
}
