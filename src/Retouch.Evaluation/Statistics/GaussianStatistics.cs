using Retouch.Torch;

namespace Retouch.Evaluation.Statistics;

/// <summary>
/// Mean and covariance of several groups of features, accumulated in float64. Each batch is centred on its own mean and merged (Chan, Golub
/// and LeVeque 1983): order and size of batches matter only by rounding, and memory is independent of the number of samples.
/// </summary>
public sealed class GaussianStatistics : IDisposable
{
    private readonly Tensor _scatter;
    private readonly Tensor _mean;

    /// <param name="groups">Number of independent distributions.</param>
    /// <param name="features">Features of a sample.</param>
    /// <param name="device">Where to compute.</param>
    public GaussianStatistics(int groups, int features, Device device)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(groups, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(features, 1);
        Groups = groups;
        Features = features;
        _mean = Ops.Zeros([groups, 1, features], dtype: DType.Float64, device: device).Escape();
        _scatter = Ops.Zeros([groups, features, features], dtype: DType.Float64, device: device).Escape();
    }

    /// <summary>Number of independent distributions.</summary>
    public int Groups { get; }

    /// <summary>Features of a sample.</summary>
    public int Features { get; }

    /// <summary>Number of samples.</summary>
    public long Count { get; private set; }

    /// <summary>Means [groups, features] of the groups from <paramref name="first"/> on, float64.</summary>
    public Tensor Mean(int first, int count) => _mean.Narrow(0, first, count).Squeeze(1);

    /// <summary>Covariances [groups, features, features], float64, divided by the number of samples less one.</summary>
    /// <exception cref="InvalidOperationException">There are fewer than two samples.</exception>
    public Tensor Covariance(int first, int count)
    {
        if (Count < 2)
            throw new InvalidOperationException($"A covariance needs two samples or more, not {Count}.");
        return _scatter.Narrow(0, first, count) / (Count - 1);
    }

    /// <summary>Adds samples.</summary>
    /// <param name="samples">[groups, batch, features]; any real type.</param>
    public void Add(Tensor samples)
    {
        ArgumentNullException.ThrowIfNull(samples);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        if (samples.Shape is not [var groups, var batch, var features] || groups != Groups || features != Features)
            throw new ArgumentException(
                $"Samples of shape [{string.Join(", ", samples.Shape)}] do not fit [{Groups}, batch, {Features}].",
                nameof(samples)
            );
        if (batch == 0)
            return;
        var x = samples.To(DType.Float64);
        var batchMean = x.Mean([1L], keepdim: true);
        var shift = batchMean - _mean;
        // The scatter of the two means is one more sample: the product below then adds everything at once.
        var joint = shift * Math.Sqrt((double)Count * batch / (Count + batch));
        var rows = Ops.Cat([x - batchMean, joint], 1);
        _scatter.BaddbmmInPlace(rows.Transpose(1, 2), rows);
        _mean.AddInPlace(shift, (double)batch / (Count + batch));
        Count += batch;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _mean.Dispose();
        _scatter.Dispose();
    }
}
