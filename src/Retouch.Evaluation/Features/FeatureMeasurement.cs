using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>The features of one set under every network that was given, and the scores that follow from them.</summary>
internal sealed class FeatureMeasurement : IDisposable
{
    private readonly EvaluationOptions options;
    private readonly FeatureRows?[] tables;
    private readonly (Tensor Mean, Tensor Covariance)?[] gaussians;

    /// <param name="options">What is asked for.</param>
    /// <param name="count">Pictures of the set.</param>
    /// <param name="isReference">Leaves out what saved statistics stand for.</param>
    public FeatureMeasurement(EvaluationOptions options, int count, bool isReference)
    {
        this.options = options;
        tables = [.. options.Networks.Select(n => !isReference || NeedsReference(n) ? new FeatureRows(count, n.Protocol.Width) : null)];
        gaussians = new (Tensor, Tensor)?[tables.Length];
    }

    /// <summary>Extracts the features of a batch.</summary>
    public void Add(int start, Tensor images)
    {
        for (var k = 0; k < tables.Length; k++)
        {
            using var scope = TensorScope.Enter();
            tables[k]?.Put(start, options.Networks[k].Extract(images));
        }
    }

    /// <summary>The scores, a metric each, network by network.</summary>
    public IEnumerable<ImageScores> Scores(FeatureMeasurement? reference, CancellationToken cancellation)
    {
        for (var k = 0; k < tables.Length; k++)
        {
            var (key, own) = (options.Networks[k].Protocol.Key, tables[k]!);
            var isInception = key == FeatureNames.Inception;
            cancellation.ThrowIfCancellationRequested();
            if (options.Metrics.HasFlag(isInception ? Metrics.Fid : Metrics.Fd))
            {
                var (mean, covariance) = isInception && options.Statistics is { } saved ? Tensors(saved) : reference!.Gaussian(k);
                yield return FeatureScores.Frechet(FeatureNames.Frechet(key), own, mean, covariance, options.Device);
            }

            if (options.Metrics.HasFlag(Metrics.Kid))
                yield return FeatureScores.Kernel(
                    FeatureNames.Kernel(key),
                    own,
                    reference!.tables[k]!,
                    options.Kernel,
                    options.Device,
                    cancellation
                );
            if (options.Metrics.HasFlag(Metrics.Prdc))
            {
                var compared = PrecisionRecall.Between(own, reference!.tables[k]!, options.PrecisionRecall, options.Device, cancellation);
                var (images, real) = FeatureScores.PrecisionRecall(FeatureNames.Suffix(key), compared, options.PrecisionRecall.Neighbours);
                yield return images;
                yield return real;
            }
        }
    }

    public void Dispose()
    {
        foreach (var table in tables)
            table?.Dispose();
        foreach (var gaussian in gaussians)
        {
            gaussian?.Mean.Dispose();
            gaussian?.Covariance.Dispose();
        }
    }

    private static (Tensor Mean, Tensor Covariance) Tensors(FrechetStatistics statistics) =>
        (Tensor.From(statistics.Mean, 1, statistics.Width), Tensor.From(statistics.Covariance, 1, statistics.Width, statistics.Width));

    private bool NeedsReference(IFeatureExtractor network) =>
        options.Statistics is null || network.Protocol.Key != FeatureNames.Inception || options.Asks(Metrics.Kid | Metrics.Prdc);

    private (Tensor Mean, Tensor Covariance) Gaussian(int network)
    {
        if (gaussians[network] is { } known)
            return known;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var statistics = tables[network]!.Statistics(options.Device);
        var made = (statistics.Mean(0, 1).Clone().Escape(), statistics.Covariance(0, 1).Escape());
        gaussians[network] = made;
        return made;
    }
}

/// <summary>
/// What figures on features are called: the names with a meaning of their own belong to Inception alone, others carry their network's.
/// </summary>
internal static class FeatureNames
{
    public const string Inception = "inception";

    public static string Frechet(string network) => network == Inception ? "fid" : "fd" + Suffix(network);

    public static string Kernel(string network) => network == Inception ? "kid" : "kd" + Suffix(network);

    public static string Suffix(string network) => network == Inception ? "" : "." + network;
}
