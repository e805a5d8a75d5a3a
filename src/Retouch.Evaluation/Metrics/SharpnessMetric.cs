using Retouch.Core.Errors;
using Retouch.Evaluation.Pixels;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Variance of the luminance's Laplacian, see <see cref="PixelScores.Sharpness"/>; describes, better neither way.</summary>
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
                $"sharpness needs pictures of {SmallestSide} pixels a side or more. Have them resized (--size) or leave it out."
            );
    }

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set) =>
        new PicturePass([new(Name, Preference.None)], static batch => PixelScores.Sharpness(batch.Images));
}
