using Retouch.Evaluation.Pixels;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Mean colour saturation, see <see cref="PixelScores.Saturation"/>; descriptive, without a direction.</summary>
public sealed record SaturationMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "saturation";

    /// <inheritdoc/>
    public string Title => "mean chroma of the pixels";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.None;

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set) =>
        new PicturePass([new(Name, Preference.None)], static batch => PixelScores.Saturation(batch.Images));
}
