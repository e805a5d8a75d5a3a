using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pictures;
using Retouch.Torch;

namespace Retouch.Evaluation.Metrics;

/// <summary>Saved statistics of a reference.</summary>
/// <param name="Name">Path of the file.</param>
/// <param name="Count">Number of pictures; null if not stored.</param>
/// <param name="Protocol">Protocol of the features; null if not stored.</param>
/// <param name="Preparation">Preparation of the pictures; null if not stored.</param>
public sealed record SavedStatistics(string Name, long? Count, FeatureProtocol? Protocol, string? Preparation);

/// <summary>Fréchet Inception distance (<c>fid</c>) to the reference's pictures or to saved statistics.</summary>
public sealed record FrechetInceptionMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "fid";

    /// <inheritdoc/>
    public string Title => "Fréchet distance on Inception features";

    /// <inheritdoc/>
    public MetricNeeds Needs => Statistics is null ? MetricNeeds.Reference | MetricNeeds.Network : MetricNeeds.Network;

    /// <inheritdoc/>
    public bool ReadsPictures => false;

    /// <inheritdoc/>
    public IReadOnlyList<FigureHeading> Headings => [new(Name, "FID", "FID", HasParts: false)];

    /// <summary>Saved statistics of Inception features that replace the reference's pictures, or null.</summary>
    public FrechetStatistics? Statistics { get; init; }

    /// <summary>Path of the statistics, for results and messages.</summary>
    public string? StatisticsName { get; init; }

    /// <inheritdoc/>
    public ReferenceResult? StandIn =>
        Statistics is { } saved
            ? new ReferenceResult(
                StatisticsName ?? "saved statistics",
                (int)Math.Min(saved.Count ?? 0, int.MaxValue),
                saved.Preparation ?? "saved statistics of unknown preparation",
                null
            )
            : null;

    /// <inheritdoc/>
    public bool Uses(string network) => network == FeatureNames.Inception;

    /// <inheritdoc/>
    public void Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check)
    {
        FeaturePass.Require(
            this,
            networks,
            check,
            "fid needs the Inception network: give its weights in pytorch-fid's layout (--inception FILE)"
        );
        if (!networks.Any(n => Uses(n.Protocol.Key)))
            return;
        var width = Network(networks).Width;
        if (Statistics is { } saved && saved.Width != width)
            throw new InputException($"'{StatisticsName}' has statistics of {saved.Width} features; FID uses {width}.");
    }

    /// <inheritdoc/>
    public void Check(MetricContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        const MetricNeeds Pictures = MetricNeeds.Reference | MetricNeeds.Pairs;
        var isUsed = context.Metrics.Any(static m => (m.Needs & Pictures) != MetricNeeds.None);
        if (Statistics is not null && context.Reference is not null && !isUsed)
            throw new UsageException(
                "FID compares with the saved statistics, and no other metric needs the reference: omit --reference or --statistics."
            );
    }

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context)
    {
        if (Statistics is not { } saved)
            return [];
        var name = StatisticsName ?? "";
        return
        [
            new(
                "statistics",
                new SavedStatistics(name, saved.Count, saved.Protocol, saved.Preparation),
                "Statistics",
                $"{name}: {(saved.Count is { } n ? $"{n} pictures" : "unknown number of pictures")}"
            ),
        ];
    }

    /// <inheritdoc/>
    public IEnumerable<Limitation> Limitations(MetricContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return
        [
            .. FrechetFeatureMetric.SampleSizes(this, context),
            .. Statistics is { } saved ? OfStatistics(saved, Network(context.Networks)) : [],
        ];
    }

    /// <inheritdoc/>
    public IMetricPass? Begin(MeasuredSet set)
    {
        ArgumentNullException.ThrowIfNull(set);
        if (Statistics is not { } saved)
            return FrechetFeatureMetric.Compared(this, set);
        return set.IsReference
            ? null
            : new FeaturePass(
                this,
                set,
                (_, own, _) =>
                    [
                        FeatureScores.Frechet(
                            Name,
                            own.Rows,
                            Tensor.From(saved.Mean, 1, saved.Width),
                            Tensor.From(saved.Covariance, 1, saved.Width, saved.Width),
                            set.Context.Device
                        ),
                    ]
            );
    }

    private FeatureProtocol Network(IReadOnlyList<IFeatureExtractor> networks) => networks.First(n => Uses(n.Protocol.Key)).Protocol;

    private IEnumerable<Limitation> OfStatistics(FrechetStatistics saved, FeatureProtocol own)
    {
        if (saved.Protocol is null)
            yield return new(
                $"'{StatisticsName}' does not name the weights and the preparation of its statistics; fid is valid "
                    + "only if both equal those of this evaluation."
            );
        else if (saved.Protocol.Sha256 != own.Sha256 || saved.Protocol.Preparation != own.Preparation)
            yield return new(
                $"The statistics of '{StatisticsName}' belong to other weights or another preparation "
                    + $"({saved.Protocol.Weights}, {saved.Protocol.Preparation}); fid is not valid."
            )
            {
                Voids = [Name],
            };
        if (saved.Count is < Limitation.FewPictures)
            yield return new(
                $"The statistics of '{StatisticsName}' are of {saved.Count} pictures; below {Limitation.FewPictures}, fid depends on "
                    + "their number."
            );
    }
}

/// <summary>Fréchet distance on the features of every network but Inception: <c>fd.</c> and the network's key.</summary>
public sealed record FrechetFeatureMetric : IMetric
{
    /// <inheritdoc/>
    public string Name => "fd";

    /// <inheritdoc/>
    public string Title => "Fréchet distance on the features of other networks";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Reference | MetricNeeds.Network;

    /// <inheritdoc/>
    public bool ReadsPictures => false;

    /// <inheritdoc/>
    public IReadOnlyList<FigureHeading> Headings => [new(Name, Name, "Fréchet distance", HasParts: false)];

    /// <inheritdoc/>
    public bool Uses(string network) => network != FeatureNames.Inception;

    /// <inheritdoc/>
    public void Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check) =>
        FeaturePass.Require(
            this,
            networks,
            check,
            "fd needs a feature network other than Inception: give its weights (--squeezenet FILE, --clip FOLDER or "
                + "--retouch-features FOLDER)"
        );

    /// <inheritdoc/>
    public IEnumerable<Limitation> Limitations(MetricContext context) => SampleSizes(this, context);

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set) => Compared(this, set);

    /// <summary>Pass that compares with the features of the reference.</summary>
    internal static FeaturePass Compared(IMetric metric, MeasuredSet set) =>
        new(
            metric,
            set,
            (network, own, reference) =>
            {
                var (mean, covariance) = reference!.Gaussian();
                return [FeatureScores.Frechet(FeatureNames.Frechet(network.Key), own.Rows, mean, covariance, set.Context.Device)];
            }
        );

    /// <summary>Limitations due to the number of pictures: singular covariances, and bias.</summary>
    internal static IEnumerable<Limitation> SampleSizes(IMetric metric, MetricContext context) =>
        from set in context.All
        from network in context.Networks.Select(static n => n.Protocol)
        where metric.Uses(network.Key)
        let name = FeatureNames.Frechet(network.Key)
        from limitation in set.Count > network.Width ? context.FewPictures(set, name, name) : [Singular(context, set, network, name)]
        select limitation;

    private static Limitation Singular(MetricContext context, ImageSet set, FeatureProtocol network, string name) =>
        context.About(
            set,
            $"'{set.Name}' has {set.Count} pictures, no more than the {network.Width} features: its covariance is singular, {name} is "
                + "too large and its interval too narrow. Use more pictures.",
            name
        );
}
