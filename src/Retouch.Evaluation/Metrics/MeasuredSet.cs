using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pictures;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Evaluation.Metrics;

/// <summary>Features of one set under one network, shared by all metrics that compare them.</summary>
public sealed class SetFeatures : IDisposable
{
    private readonly IFeatureExtractor _network;
    private readonly Device _device;
    private (Tensor Mean, Tensor Covariance)? _gaussian;

    internal SetFeatures(IFeatureExtractor network, int count, Device device)
    {
        (_network, _device) = (network, device);
        Rows = new FeatureRows(count, network.Protocol.Width);
    }

    /// <summary>Features, one row per picture; complete after the set's last batch.</summary>
    public FeatureRows Rows { get; }

    /// <summary>Mean [1, width] and covariance [1, width, width], float64, on the evaluation's device; computed once.</summary>
    public (Tensor Mean, Tensor Covariance) Gaussian()
    {
        if (_gaussian is { } known)
            return known;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var statistics = Rows.Statistics(_device);
        var made = (statistics.Mean(0, 1).Clone().Escape(), statistics.Covariance(0, 1).Escape());
        _gaussian = made;
        return made;
    }

    internal void Add(int start, Tensor images)
    {
        using var scope = TensorScope.Enter();
        Rows.Put(start, _network.Extract(images));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Rows.Dispose();
        _gaussian?.Mean.Dispose();
        _gaussian?.Covariance.Dispose();
    }
}

/// <summary>A set in measurement, with the data shared by its metrics.</summary>
public sealed class MeasuredSet : IDisposable
{
    private readonly Dictionary<IFeatureExtractor, SetFeatures> _features = [];
    private readonly Action<int> _tick;

    /// <param name="pictures">Pictures of the set.</param>
    /// <param name="context">Context of the evaluation.</param>
    /// <param name="tick">Receives the number of pictures of each batch.</param>
    public MeasuredSet(ImageSet pictures, MetricContext context, Action<int> tick) =>
        (Pictures, Context, _tick) = (pictures, context, tick);

    /// <summary>Pictures of the set.</summary>
    public ImageSet Pictures { get; }

    /// <summary>Context of the evaluation.</summary>
    public MetricContext Context { get; }

    /// <summary>Whether the set is the reference.</summary>
    public bool IsReference { get; init; }

    /// <summary>Features under a network, extracted once; requested in <see cref="IMetric.Begin"/>, before the first batch.</summary>
    /// <param name="network">A network of the context.</param>
    public SetFeatures Features(IFeatureExtractor network)
    {
        ArgumentNullException.ThrowIfNull(network);
        if (!_features.TryGetValue(network, out var features))
            _features.Add(network, features = new SetFeatures(network, Pictures.Count, Context.Device));
        return features;
    }

    /// <summary>Reads the set again.</summary>
    /// <param name="action">Called with the index of each batch's first picture and the batch, [batch, 3, height, width] in [0, 1].</param>
    public void ReadAgain(Action<int, Tensor> action) => Pictures.ForEachBatch(Context.BatchSize, Context.Device, action, _tick);

    internal void Extract(int start, Tensor images)
    {
        foreach (var features in _features.Values)
            features.Add(start, images);
    }

    /// <summary>Extracts the requested features together with other processes, which call this too; they are complete in rank 0.</summary>
    /// <exception cref="Core.Errors.EnvironmentException">Another process has failed, ended, or is late.</exception>
    internal void ExtractShared(IPeers peers)
    {
        // In the order of the networks, which is the same in all processes.
        (IFeatureExtractor, FeatureRows)[] tables =
        [
            .. Context.Networks.Where(_features.ContainsKey).Select(network => (network, _features[network].Rows)),
        ];
        if (tables.Length > 0)
            SharedExtraction.Run(Pictures, tables, Context.BatchSize, Context.Device, peers, _tick);
        else if (Context.Networks.Count > 0)
            _tick(Pictures.Count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var features in _features.Values)
            features.Dispose();
    }
}
