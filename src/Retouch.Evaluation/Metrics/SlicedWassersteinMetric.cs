using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Patches;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Sliced Wasserstein distance of patches, see <see cref="SlicedWasserstein"/>: overall and by pyramid level.</summary>
public sealed record SlicedWassersteinMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "swd";

    /// <inheritdoc/>
    public string Title => "sliced Wasserstein distance of patches, whole and by level";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Reference;

    /// <inheritdoc/>
    public IReadOnlyList<FigureHeading> Headings => [new(Name, "sliced Wasserstein distance", "Wasserstein", HasParts: true)];

    /// <summary>Patches, directions and seed.</summary>
    public SlicedWassersteinOptions Options { get; init; } = new();

    /// <inheritdoc/>
    public void Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        Options.Validate(check);
    }

    /// <inheritdoc/>
    public void Check(MetricContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (Math.Min(context.Width, context.Height) < Options.Patch)
            throw new UsageException(
                $"swd compares patches of {Options.Patch} pixels a side, larger than the pictures. Resize them "
                    + "with --size or omit swd."
            );
    }

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context) =>
        [
            new(
                "slicedWasserstein",
                Options,
                "Patches",
                $"{Options.Descriptors}: up to {Options.Patches} a picture and level, {Options.Directions} directions, seed {Options.Seed}"
            ),
        ];

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        return new Pass(set, Options);
    }

    private sealed class Pass(MeasuredSet set, SlicedWassersteinOptions options) : MetricPass<Pass>
    {
        private readonly PatchDescriptors _patches = new(set.Pictures, options);

        public override void Add(MetricBatch batch) => _patches.Add(batch.Start, batch.Images);

        protected override IEnumerable<ImageScores> Scores(Pass? reference) =>
            [SlicedWasserstein.Scores(_patches, reference!._patches, options, set.Context.Device, set.Context.Cancellation)];

        protected override void Dispose(bool disposing)
        {
            _patches.Dispose();
            base.Dispose(disposing);
        }
    }
}
