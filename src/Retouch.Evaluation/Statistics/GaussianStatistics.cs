using Retouch.Torch;

namespace Retouch.Evaluation.Statistics;

/// <summary>
/// Mean and covariance of several groups of features, accumulated in float64. Each batch is centred on its own mean and merged (Chan, Golub
/// and LeVeque 1983): order and size of batches affect only rounding, and memory is independent of the number of samples.
/// </summary>
public sealed class GaussianStatistics : IDisposable
{
    private readonly Tensor _scatter;
    private readonly Tensor _mean;

    /// <param name="groups">Number of distributions.</param>
    /// <param name="features">Width of the features.</param>
    /// <param name="device">Device of the computation.</param>
    public GaussianStatistics(int groups, int features, Device device)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(groups, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(features, 1);
        Groups = groups;
        Features = features;
        _mean = Ops.Zeros([groups, 1, features], dtype: DType.Float64, device: device).Escape();
        _scatter = Ops.Zeros([groups, features, features], dtype: DType.Float64, device: device).Escape();
    }

    /// <summary>Number of distributions.</summary>
    public int Groups { get; }

    /// <summary>Width of the features.</summary>
    public int Features { get; }

    /// <summary>Number of samples.</summary>
    public long Count { get; private set; }

    /// <summary>Means [groups, features], float64, starting at group <paramref name="first"/>.</summary>
    public Tensor Mean(int first, int count) => _mean.Narrow(0, first, count).Squeeze(1);

    /// <summary>Covariances [groups, features, features], float64, with the divisor samples − 1.</summary>
    /// <exception cref="InvalidOperationException">Fewer than two samples.</exception>
    public Tensor Covariance(int first, int count)
    {
        if (Count < 2)
            throw new InvalidOperationException($"A covariance needs at least two samples, not {Count}.");
        return _scatter.Narrow(0, first, count) / (Count - 1);
    }

    /// <summary>Adds samples.</summary>
    /// <param name="samples">[groups, batch, features], of any real type.</param>
    public void Add(Tensor samples)
    {
        ArgumentNullException.ThrowIfNull(samples);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        if (samples.Shape is not [var groups, var batch, var features] || groups != Groups || features != Features)
            throw new ArgumentException(
                $"Samples of shape [{string.Join(", ", samples.Shape)}] given; expected [{Groups}, batch, {Features}].",
                nameof(samples)
            );
        if (batch == 0)
            return;
        var x = samples.To(DType.Float64);
        var batchMean = x.Mean([1L], keepdim: true);
        var shift = batchMean - _mean;
        // The difference of the means enters as an additional sample, so that one product adds all terms.
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
