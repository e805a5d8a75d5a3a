using Retouch.Torch;

namespace Retouch.Evaluation;

/// <summary>
/// Mean and covariance of several groups of features at once, added up batch by batch in float64. Each batch is centred on its own mean and
/// joined to what is there (Chan, Golub and LeVeque 1983), so that neither the order nor the size of batches matters beyond rounding, and
/// memory does not grow with the number of samples.
/// </summary>
public sealed class GaussianStatistics : IDisposable
{
    private readonly Tensor scatter;
    private readonly Tensor mean;

    /// <param name="groups">Independent distributions.</param>
    /// <param name="features">Numbers in a sample of each.</param>
    /// <param name="device">Where to compute.</param>
    public GaussianStatistics(int groups, int features, Device device)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(groups, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(features, 1);
        Groups = groups;
        Features = features;
        mean = Ops.Zeros([groups, 1, features], dtype: DType.Float64, device: device).Escape();
        scatter = Ops.Zeros([groups, features, features], dtype: DType.Float64, device: device).Escape();
    }

    /// <summary>Independent distributions.</summary>
    public int Groups { get; }

    /// <summary>Numbers in a sample of each.</summary>
    public int Features { get; }

    /// <summary>Samples so far.</summary>
    public long Count { get; private set; }

    /// <summary>Means [groups, features] of the groups from <paramref name="first"/> on, float64.</summary>
    public Tensor Mean(int first, int count) => mean.Narrow(0, first, count).Squeeze(1);

    /// <summary>Covariances [groups, features, features], float64, divided by the number of samples less one.</summary>
    /// <exception cref="InvalidOperationException">There are fewer than two samples.</exception>
    public Tensor Covariance(int first, int count)
    {
        if (Count < 2)
            throw new InvalidOperationException($"A covariance needs two samples or more, not {Count}.");
        return scatter.Narrow(0, first, count) / (Count - 1);
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
        var shift = batchMean - mean;
        // The scatter of the two means is one more sample: the product below then adds everything at once.
        var joint = shift * Math.Sqrt((double)Count * batch / (Count + batch));
        var rows = Ops.Cat([x - batchMean, joint], 1);
        scatter.BaddbmmInPlace(rows.Transpose(1, 2), rows);
        mean.AddInPlace(shift, (double)batch / (Count + batch));
        Count += batch;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        mean.Dispose();
        scatter.Dispose();
    }
}
