using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>What a figure makes of its sums.</summary>
public enum HealthKind
{
    /// <summary>The sum itself.</summary>
    Total,

    /// <summary>Sum over count.</summary>
    Ratio,

    /// <summary>The root of the sum, over the count.</summary>
    Norm,

    /// <summary>The root of sum over count.</summary>
    NormRatio,
}

/// <summary>A figure as the sums that it is made of, so that parts of a batch add up to exactly what the whole would give.</summary>
/// <param name="Kind">What is made of the sums.</param>
/// <param name="Sum">Numerator.</param>
/// <param name="Count">Denominator; not used by <see cref="HealthKind.Total"/>.</param>
public readonly record struct HealthFigure(HealthKind Kind, double Sum, double Count)
{
    /// <summary>The figure; NaN where its denominator is 0, since then nothing was seen.</summary>
    public double Value =>
        Kind switch
        {
            HealthKind.Total => Sum,
            HealthKind.Ratio => Count == 0 ? double.NaN : Sum / Count,
            HealthKind.Norm => Count == 0 ? double.NaN : Math.Sqrt(Sum) / Count,
            _ => Count == 0 ? double.NaN : Math.Sqrt(Sum / Count),
        };

    /// <summary>Whether anything was seen of it.</summary>
    public bool IsKnown => Kind == HealthKind.Total || Count != 0;

    /// <summary>This and another part of the same figure.</summary>
    public HealthFigure Plus(HealthFigure other) => this with { Sum = Sum + other.Sum, Count = Count + other.Count };
}

/// <summary>
/// Collects numbers about a step as sums, over micro-batches of the decoder and, by <see cref="HealthFigure.Plus"/>, of the optimiser. What
/// is on a device is read once, at the end.
/// </summary>
/// <param name="scope">Keeps what was not read yet; it must be open until <see cref="Read"/>.</param>
public sealed class HealthLog(TensorScope scope)
{
    private readonly List<(string Name, HealthKind Kind, Tensor Sum, Tensor? Count)> _pending = [];
    private readonly List<(string Name, HealthKind Kind, bool Counts)> _held = [];
    private readonly List<Tensor> _stacks = [];
    private readonly SortedDictionary<string, HealthFigure> _sums = new(StringComparer.Ordinal);

    /// <summary>Adds to a ratio. Both are scalars; they are read with all others, in one transfer.</summary>
    public void Ratio(string name, Tensor sum, Tensor count) => _pending.Add((name, HealthKind.Ratio, sum, count));

    /// <summary>Adds to a ratio.</summary>
    public void Ratio(string name, double sum, double count) => Add(name, new(HealthKind.Ratio, sum, count));

    /// <summary>Adds to a total.</summary>
    public void Total(string name, Tensor sum) => _pending.Add((name, HealthKind.Total, sum, null));

    /// <summary>Adds to a figure.</summary>
    public void Add(string name, HealthFigure figure) =>
        _sums[name] = _sums.TryGetValue(name, out var before) ? before.Plus(figure) : figure;

    /// <summary>Takes what was added as tensors out of their scope, which is about to end; nothing is waited for.</summary>
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

    /// <summary>All figures, by name.</summary>
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
