using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>What a multistep method remembers of the last steps; the tensors are its own.</summary>
/// <param name="most">Steps that are remembered.</param>
internal sealed class PastValues(int most) : IDisposable
{
    private readonly List<PastEstimate> _values = [];

    /// <summary>Newest first.</summary>
    public IReadOnlyList<PastEstimate> Values => _values;

    /// <summary>Remembers the newest.</summary>
    /// <param name="at">Its level.</param>
    /// <param name="value">Stays the caller's.</param>
    public void Add(NoisePoint at, Tensor value)
    {
        // A network may hand out a tensor of its own: what is kept here is this object's to free.
        _values.Insert(0, new PastEstimate(at, value.Alias().Escape()));
        if (_values.Count <= most)
            return;
        _values[^1].Z0.Dispose();
        _values.RemoveAt(_values.Count - 1);
    }

    /// <summary>Σ weight·value, weights newest first.</summary>
    public Tensor Sum(ReadOnlySpan<double> weights)
    {
        using var scope = TensorScope.Enter();
        var sum = _values[0].Z0 * weights[0];
        for (var k = 1; k < weights.Length; k++)
            sum += _values[k].Z0 * weights[k];
        return scope.Keep(sum);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var value in _values)
            value.Z0.Dispose();
        _values.Clear();
    }
}
