using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>How a metric is computed from its sums.</summary>
public enum HealthKind
{
    /// <summary>Sum.</summary>
    Total,

    /// <summary>Sum / count.</summary>
    Ratio,

    /// <summary>√sum / count.</summary>
    Norm,

    /// <summary>√(sum / count).</summary>
    NormRatio,
}

/// <summary>A health metric stored as sums, so that accumulating parts of a batch gives exactly the value of the whole batch.</summary>
/// <param name="Kind">How the value is computed from the sums.</param>
/// <param name="Sum">Numerator.</param>
/// <param name="Count">Denominator; unused by <see cref="HealthKind.Total"/>.</param>
public readonly record struct HealthFigure(HealthKind Kind, double Sum, double Count)
{
    /// <summary>Value of the metric; NaN if the denominator is 0, since nothing was observed.</summary>
    public double Value =>
        Kind switch
        {
            HealthKind.Total => Sum,
            HealthKind.Ratio => Count == 0 ? double.NaN : Sum / Count,
            HealthKind.Norm => Count == 0 ? double.NaN : Math.Sqrt(Sum) / Count,
            _ => Count == 0 ? double.NaN : Math.Sqrt(Sum / Count),
        };

    /// <summary>Whether the metric has observations.</summary>
    public bool IsKnown => Kind == HealthKind.Total || Count != 0;

    /// <summary>Sum of two parts of the same metric.</summary>
    public HealthFigure Plus(HealthFigure other) => this with { Sum = Sum + other.Sum, Count = Count + other.Count };
}

/// <summary>
/// Collects the health metrics of a step as sums, over micro-batches of the decoder and, through <see cref="HealthFigure.Plus"/>, of the
/// optimiser. Device values are transferred once, at the end.
/// </summary>
/// <param name="scope">Keeps pending tensors; must be open until <see cref="Read"/>.</param>
public sealed class HealthLog(TensorScope scope)
{
    private readonly List<(string Name, HealthKind Kind, Tensor Sum, Tensor? Count)> _pending = [];
    private readonly List<(string Name, HealthKind Kind, bool Counts)> _held = [];
    private readonly List<Tensor> _stacks = [];
    private readonly SortedDictionary<string, HealthFigure> _sums = new(StringComparer.Ordinal);

    /// <summary>Adds to a ratio. Both tensors are scalars; all pending tensors are read in one transfer.</summary>
    public void Ratio(string name, Tensor sum, Tensor count) => _pending.Add((name, HealthKind.Ratio, sum, count));

    /// <summary>Adds to a ratio.</summary>
    public void Ratio(string name, double sum, double count) => Add(name, new(HealthKind.Ratio, sum, count));

    /// <summary>Adds to a total.</summary>
    public void Total(string name, Tensor sum) => _pending.Add((name, HealthKind.Total, sum, null));

    /// <summary>Adds to a metric.</summary>
    public void Add(string name, HealthFigure figure) =>
        _sums[name] = _sums.TryGetValue(name, out var before) ? before.Plus(figure) : figure;

    /// <summary>Moves pending tensors out of their scope before it ends; does not synchronise with the device.</summary>
    public void Hold()
    {
        if (_pending.Count == 0)
            return;
        using var inner = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var scalars = new List<Tensor>(2 * _pending.Count);
        foreach (var (name, kind, sum, count) in _pending)
        {
            scalars.Add(sum.Detach().To(DType.Float64));
            if (count is not null)
                scalars.Add(count.Detach().To(DType.Float64));
            _held.Add((name, kind, count is not null));
        }

        _stacks.Add(scope.Adopt(Ops.Stack(scalars.ToArray())));
        _pending.Clear();
    }

    /// <summary>All metrics, by name.</summary>
    public IReadOnlyDictionary<string, HealthFigure> Read()
    {
        Hold();
        if (_stacks.Count == 0)
            return _sums;
        using var inner = TensorScope.Enter();
        var values = Ops.Cat([.. _stacks], 0).ToArray<double>();
        var next = 0;
        foreach (var (name, kind, counts) in _held)
        {
            var sum = values[next++];
            Add(name, new(kind, sum, counts ? values[next++] : 0));
        }

        _stacks.Clear();
        _held.Clear();
        return _sums;
    }
}
