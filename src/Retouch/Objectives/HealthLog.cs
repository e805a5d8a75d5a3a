using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// Collects numbers about a step. A ratio's numerator and denominator are added up over micro-batches before they are divided, so that
/// the figures do not depend on how the batch was cut.
/// </summary>
public sealed class HealthLog
{
    private readonly List<(string Name, Tensor Sum, Tensor? Count)> _pending = [];
    private readonly Dictionary<string, (double Sum, double? Count)> _sums = [];

    /// <summary>
    /// Adds to a ratio. Both are scalars; they are read at the next <see cref="Flush"/>, with all others, in one transfer.
    /// </summary>
    public void Ratio(string name, Tensor sum, Tensor count) => _pending.Add((name, sum, count));

    /// <summary>Adds to a ratio.</summary>
    public void Ratio(string name, double sum, double count) => Accumulate(name, sum, count);

    /// <summary>Adds to a total.</summary>
    public void Total(string name, Tensor sum) => _pending.Add((name, sum, null));

    /// <summary>Reads what was added as tensors; to be called before their scope ends.</summary>
    public void Flush()
    {
        if (_pending.Count == 0)
            return;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var scalars = new List<Tensor>(2 * _pending.Count);
        foreach (var (_, sum, count) in _pending)
        {
            scalars.Add(sum.Detach().To(DType.Float64));
            if (count is not null)
                scalars.Add(count.Detach().To(DType.Float64));
        }

        var values = Ops.Stack(scalars.ToArray()).ToArray<double>();
        var next = 0;
        foreach (var (name, _, count) in _pending)
            Accumulate(name, values[next++], count is null ? null : values[next++]);
        _pending.Clear();
    }

    /// <summary>The totals, and the ratios whose denominator is not zero.</summary>
    public IReadOnlyDictionary<string, double> Read()
    {
        Flush();
        var result = new SortedDictionary<string, double>(StringComparer.Ordinal);
        foreach (var (name, (sum, count)) in _sums)
        {
            if (count is null)
                result[name] = sum;
            else if (count != 0)
                result[name] = sum / count.Value;
        }

        return result;
    }

    private void Accumulate(string name, double sum, double? count)
    {
        var (oldSum, oldCount) = _sums.GetValueOrDefault(name);
        _sums[name] = (oldSum + sum, count is null ? null : (oldCount ?? 0) + count);
    }
}
