using Retouch.Core.Errors;
using Retouch.Evaluation.Pixels;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Variance of the luminance's Laplacian, see <see cref="PixelScores.Sharpness"/>; descriptive, without a direction.</summary>
public sealed record SharpnessMetric : IMetric
{
    private const int SmallestSide = 3;

    /// <inheritdoc/>
    public string Name => "sharpness";

    /// <inheritdoc/>
    public string Title => "variance of the Laplacian";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.None;

    /// <inheritdoc/>
    public void Check(MetricContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (Math.Min(context.Width, context.Height) < SmallestSide)
            throw new UsageException(
                $"sharpness requires sides of at least {SmallestSide} pixels. Resize the pictures with --size or omit sharpness."
            );
    }

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set) =>
        new PicturePass([new(Name, Preference.None)], static batch => PixelScores.Sharpness(batch.Images));
}
