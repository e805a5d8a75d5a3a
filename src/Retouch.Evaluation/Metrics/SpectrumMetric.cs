using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Error of the power spectrum, see <see cref="SpectrumError"/>: RMS and mean log ratio, overall and by band.</summary>
public sealed record SpectrumMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "spectrum";

    /// <inheritdoc/>
    public string Title => "error of the radial power spectrum";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Reference;

    /// <inheritdoc/>
    public IReadOnlyList<FigureHeading> Headings => [new(Name, "spectrum error", "spectrum", HasParts: true)];

    /// <summary>Signal and window.</summary>
    public SpectrumOptions Options { get; init; } = new();

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context) =>
        [
            new(
                "spectrum",
                Options,
                "Spectrum",
                $"{Options.Signal.ToString().ToLowerInvariant()}, {(Options.Hann ? "Hann window" : "no window")}; log10 of the "
                    + "ratio to the reference"
            ),
        ];

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        return new Pass(new SpectrumStatistics(set.Pictures.Width, set.Pictures.Height, Options, set.Context.Device));
    }

    private sealed class Pass(SpectrumStatistics statistics) : MetricPass<Pass>
    {
        private readonly SpectrumStatistics _statistics = statistics;

        public override void Add(MetricBatch batch) => _statistics.Add(batch.Images);

        protected override IEnumerable<ImageScores> Scores(Pass? reference)
        {
            var real = reference!._statistics;
            var (own, theirs) = (_statistics.MeanProfile(), real.MeanProfile());
            var map = SpectrumMap.LogRatio(_statistics.MeanMap(), real.MeanMap());
            return [SpectrumError.Scores(_statistics, theirs, new MeanSpectra(own, theirs, map))];
        }

        protected override void Dispose(bool disposing)
        {
            _statistics.Dispose();
            base.Dispose(disposing);
        }
    }
}
