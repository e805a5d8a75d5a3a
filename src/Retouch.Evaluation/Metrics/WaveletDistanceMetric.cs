using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Fréchet wavelet distance, see <see cref="WaveletDistance"/>: overall (<c>fwd</c>) and by band (<c>fwd.low</c>, …).</summary>
public sealed record WaveletDistanceMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "fwd";

    /// <inheritdoc/>
    public string Title => "Fréchet wavelet distance, whole and by frequency band";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Reference;

    /// <inheritdoc/>
    public IReadOnlyList<FigureHeading> Headings => [new(Name, "wavelet distance", "wavelets", HasParts: true)];

    /// <inheritdoc/>
    public int Readings => 2;

    /// <summary>Level of the wavelet packets; null for the default of <see cref="WaveletPlan.For"/>.</summary>
    public int? Level { get; init; }

    /// <summary>Whether coefficients are replaced by their logarithms.</summary>
    public bool Logarithm { get; init; }

    /// <inheritdoc/>
    public void Check(MetricContext context) => Plan(context);

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context)
    {
        var plan = Plan(context);
        return
        [
            new(
                "fwd",
                plan,
                "Wavelets",
                $"{plan.Wavelet}, level {plan.Level}: {plan.Packets} packets of {plan.Features} coefficients; {plan.Pixels}"
            ),
        ];
    }

    /// <inheritdoc/>
    public IEnumerable<Limitation> Limitations(MetricContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var features = Plan(context).Features;
        return context.All.SelectMany(set =>
            set.Count > features
                ? context.FewPictures(set, Name, Name)
                :
                [
                    context.About(
                        set,
                        $"'{set.Name}' has {set.Count} pictures, no more than the {features} coefficients of a wavelet packet: its "
                            + "covariances are singular, fwd is too large and its interval too narrow. Use more pictures or a higher "
                            + "level.",
                        Name
                    ),
                ]
        );
    }

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        return new Pass(set, Plan(set.Context));
    }

    private WaveletPlan Plan(MetricContext context) => WaveletPlan.For(context.Width, context.Height, Level, Logarithm);

    private sealed class Pass(MeasuredSet set, WaveletPlan plan) : MetricPass<Pass>
    {
        private readonly WaveletStatistics _statistics = new(plan, set.Context.Device);

        public override void Add(MetricBatch batch) => _statistics.Add(batch.Images);

        protected override IEnumerable<ImageScores> Scores(Pass? reference)
        {
            var (distance, influence) = WaveletDistance.WithInfluence(_statistics, reference!._statistics);
            using (influence)
            {
                var rows = new double[set.Pictures.Count * WaveletInfluence.Columns];
                set.ReadAgain((start, images) => influence.Of(images).CopyTo(rows, start * WaveletInfluence.Columns));
                return [WaveletScores.Of(distance, rows)];
            }
        }

        protected override void Dispose(bool disposing)
        {
            _statistics.Dispose();
            base.Dispose(disposing);
        }
    }
}
