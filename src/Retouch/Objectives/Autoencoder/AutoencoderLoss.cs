using System.ComponentModel;
using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Objectives.Autoencoder;

/// <summary>How reconstruction errors are measured.</summary>
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
    /// <summary>How reconstruction errors are measured.</summary>
    [Description("l1 or l2.")]
    public ReconstructionError Reconstruction { get; init; } = ReconstructionError.L1;

    /// <summary>Weight of the KL divergence, which is averaged over the latent's elements; 1e-6 is usual for latent diffusion.</summary>
    [Description("Weight of the KL divergence per latent element.")]
    public double KlWeight { get; init; } = 1e-6;

    /// <summary>Weight of the Laplacian-pyramid term, which looks at each frequency band alone; 0 leaves it out.</summary>
    [Description("Weight of the Laplacian-pyramid term (perceptual, needs no network); 0 leaves it out.")]
    public double PyramidWeight { get; init; }

    /// <summary>Levels of the pyramid; null takes 4, or fewer for small pictures. Only with a pyramid.</summary>
    [Description("Levels of the pyramid.")]
    public int? PyramidLevels { get; init; }

    /// <summary>Reports what is wrong.</summary>
    internal void Validate(Action<bool, string> require)
    {
        require(KlWeight >= 0, $"autoencoderLoss.klWeight is {KlWeight}; it is at least 0");
        require(PyramidWeight >= 0, $"autoencoderLoss.pyramidWeight is {PyramidWeight}; it is at least 0");
        require(
            PyramidLevels is null || PyramidWeight > 0,
            "autoencoderLoss.pyramidLevels is given, but pyramidWeight is 0; it would do nothing"
        );
        require(PyramidLevels is null or (>= 1 and <= 10), $"autoencoderLoss.pyramidLevels is {PyramidLevels}; it lies between 1 and 10");
    }
}

/// <summary>Reconstruction + KL (+ Laplacian pyramid): how the autoencoder of a latent diffusion model is trained (Rombach et al. 2022,
/// appendix G), without a discriminator.</summary>
/// <param name="options">Validated options.</param>
public sealed class AutoencoderLoss(AutoencoderLossOptions options)
{
    /// <summary>The loss of a batch.</summary>
    /// <param name="images">[batch, 3, height, width] in [−1, 1].</param>
    /// <param name="decoded">Their reconstructions, in the graph.</param>
    /// <param name="posterior">What the encoder made of them, in the graph.</param>
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
