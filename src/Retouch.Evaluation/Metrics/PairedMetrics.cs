using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pixels;
using Retouch.Evaluation.Statistics;
using Retouch.Perception;

namespace Retouch.Evaluation.Metrics;

/// <summary>Peak signal-to-noise ratio (<c>psnr</c>, dB) and mean squared error (<c>mse</c>) against the originals, see
/// <see cref="PixelScores"/>.</summary>
public sealed record PsnrMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "psnr";

    /// <inheritdoc/>
    public string Title => "peak signal-to-noise ratio and mean squared error to the originals";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Pairs;

    /// <inheritdoc/>
    public IMetricPass? Begin(MeasuredSet set) =>
        PicturePass.Over(
            set,
            [new(Name, Preference.Higher), new("mse", Preference.Lower)],
            static batch =>
                [
                    .. PixelScores
                        .SquaredError(batch.Images, batch.Originals!)
                        .SelectMany(static error => (IEnumerable<double>)[PixelScores.Psnr(error), error]),
                ],
            static rows =>
                rows.Where(static (psnr, i) => i % 2 == 0 && psnr >= PixelScores.MostPsnr).Count() is > 0 and var equal
                    ? [$"{equal} of {rows.Count / 2} pictures equal their reference; each counts as {PixelScores.MostPsnr} dB in psnr"]
                    : []
        );
}

/// <summary>Structural similarity with the originals, see <see cref="StructuralSimilarity"/>.</summary>
public sealed record SsimMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "ssim";

    /// <inheritdoc/>
    public string Title => "structural similarity to the originals";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Pairs;

    /// <inheritdoc/>
    public IMetricPass? Begin(MeasuredSet set) =>
        PicturePass.Over(set, [new(Name, Preference.Higher)], static batch => StructuralSimilarity.Of(batch.Images, batch.Originals!));
}

/// <summary>Learned perceptual distance to the originals, see <see cref="PerceptualSimilarity"/>.</summary>
public sealed record LpipsMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "lpips";

    /// <inheritdoc/>
    public string Title => "learned perceptual distance to the originals";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Pairs;

    /// <summary>LPIPS network; required, not disposed.</summary>
    public PerceptualSimilarity? Network { get; init; }

    /// <inheritdoc/>
    public void Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.That(
            Network is not null,
            "lpips needs the weights of a torchvision classifier (--lpips-network FILE) and the lpips package's linear "
                + "weights for it (--lpips FILE)"
        );
    }

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context)
    {
        var used = Network!.Protocol;
        return
        [
            new(
                "perceptual",
                used,
                "LPIPS",
                $"{used.Network}: {used.Trunk}, sha256 {used.TrunkSha256}; {used.Linear}, sha256 {used.LinearSha256}"
            ),
        ];
    }

    /// <inheritdoc/>
    public IMetricPass? Begin(MeasuredSet set) =>
        PicturePass.Over(set, [new(Name, Preference.Lower)], batch => Network!.Of(batch.Images, batch.Originals!));
}
