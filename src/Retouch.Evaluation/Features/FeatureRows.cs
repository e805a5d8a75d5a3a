using Retouch.Core.Errors;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Evaluation.Features;

/// <summary>Features of a set, one row per picture, in float32 on the CPU: 4 · rows · width bytes.</summary>
public sealed class FeatureRows : IDisposable
{
    private readonly Tensor _rows;

    /// <param name="count">Number of pictures.</param>
    /// <param name="width">Width of the features.</param>
    public FeatureRows(int count, int width)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        if ((long)count * width > int.MaxValue)
            throw new UsageException(
                $"{count} pictures with {width} features each exceed the size of a table; use fewer pictures (--count)."
            );
        Count = count;
        Width = width;
        _rows = Ops.Empty([count, width], dtype: DType.Float32).Escape();
    }

    /// <summary>Number of pictures.</summary>
    public int Count { get; }

    /// <summary>Width of the features.</summary>
    public int Width { get; }

    /// <summary>Features of one picture.</summary>
    public ReadOnlySpan<float> this[int row] => _rows.Span<float>().Slice(row * Width, Width);

    /// <summary>A table of existing features [pictures, width].</summary>
    public static FeatureRows Of(Tensor features)
    {
        ArgumentNullException.ThrowIfNull(features);
        var result = new FeatureRows((int)features.Shape[0], (int)features.Shape[1]);
        result.Put(0, features);
        return result;
    }

    /// <summary>Extracts the features of a set.</summary>
    /// <param name="set">Pictures.</param>
    /// <param name="network">Feature network on <paramref name="device"/>.</param>
    /// <param name="batchSize">Pictures per batch.</param>
    /// <param name="device">Device of the computation.</param>
    /// <param name="progress">Receives the number of pictures of each batch.</param>
    /// <param name="peers">Processes that extract the features together, by the same call; null for a single one. The rows are those of
    /// the set in rank 0, undefined in the others.</param>
    /// <param name="cancellation">Cancels between batches.</param>
    /// <exception cref="InputException">A picture cannot be read, or a feature is not finite.</exception>
    /// <exception cref="EnvironmentException">Another process has failed, ended, or is late.</exception>
    public static FeatureRows Of(
        ImageSet set,
        IFeatureExtractor network,
        int batchSize,
        Device device,
        Action<EvaluationProgress>? progress = null,
        IPeers? peers = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(network);
        var result = new FeatureRows(set.Count, network.Protocol.Width);
        var done = 0L;
        try
        {
            if (peers is { Size: > 1 })
                SharedExtraction.Run(set, [(network, result)], batchSize, device, peers, Tick);
            else
                set.ForEachBatch(batchSize, device, (start, images) => result.Put(start, network.Extract(images)), Tick);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }

        void Tick(int count)
        {
            cancellation.ThrowIfCancellationRequested();
            progress?.Invoke(new EvaluationProgress(done += count, set.Count));
        }
    }

    /// <summary>Stores rows.</summary>
    /// <param name="start">Index of the first row.</param>
    /// <param name="features">[batch, width], on any device.</param>
    /// <exception cref="InputException">A feature is not finite.</exception>
    public void Put(int start, Tensor features)
    {
        ArgumentNullException.ThrowIfNull(features);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        _rows.Narrow(0, start, features.Shape[0]).CopyInPlace(Finite(features));
    }

    /// <summary>Stored rows [count, width]; a view.</summary>
    public Tensor Block(int start, int count) => _rows.Narrow(0, start, count);

    /// <summary>Mean and covariance of the rows.</summary>
    public GaussianStatistics Statistics(Device device)
    {
        var statistics = new GaussianStatistics(1, Width, device);
        ForEachBlock((_, block) => statistics.Add(block.To(device).Unsqueeze(0)));
        return statistics;
    }

    /// <summary>Features as they are.</summary>
    /// <exception cref="InputException">A feature is not finite.</exception>
    internal static Tensor Finite(Tensor features) =>
        features.Isfinite().All().ToArray<bool>()[0]
            ? features
            : throw new InputException("The feature network's output is not finite. Check its weights.");

    /// <summary>Calls an action with the rows, block by block.</summary>
    internal void ForEachBlock(Action<int, Tensor> action, int size = 1024)
    {
        for (var start = 0; start < Count; start += size)
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            action(start, Block(start, Math.Min(size, Count - start)));
        }
    }

    /// <summary>Mean row [width], float32, owned by the caller's scope.</summary>
    internal Tensor Mean()
    {
        using var scope = TensorScope.Enter();
        var sum = Ops.Zeros([Width], dtype: DType.Float64);
        ForEachBlock((_, block) => sum.AddInPlace(block.To(DType.Float64).Sum([0L])));
        return scope.Keep((sum / Count).To(DType.Float32));
    }

    /// <inheritdoc/>
    public void Dispose() => _rows.Dispose();
}
