using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>A past prediction at a noise level: ẑ0, ε̂ or v̂, depending on the method.</summary>
/// <param name="At">The level.</param>
/// <param name="Value">The prediction.</param>
internal readonly record struct PastValue(NoisePoint At, Tensor Value);

/// <summary>History of a multistep method; owns its tensors.</summary>
/// <param name="most">Maximum number of values.</param>
internal sealed class PastValues(int most) : IDisposable
{
    private readonly List<PastValue> _values = [];

    /// <summary>Values, newest first.</summary>
    public IReadOnlyList<PastValue> Values => _values;

    /// <summary>Adds the newest value.</summary>
    /// <param name="at">Noise level.</param>
    /// <param name="value">Value; not disposed here.</param>
    public void Add(NoisePoint at, Tensor value)
    {
        // A network may return a tensor that it owns, so the history keeps an alias.
        _values.Insert(0, new PastValue(at, value.Alias().Escape()));
        if (_values.Count <= most)
            return;
        _values[^1].Value.Dispose();
        _values.RemoveAt(_values.Count - 1);
    }

    /// <summary>Σ weight·value, weights newest first.</summary>
    public Tensor Sum(ReadOnlySpan<double> weights)
    {
        using var scope = TensorScope.Enter();
        var sum = _values[0].Value * weights[0];
        for (var k = 1; k < weights.Length; k++)
            sum += _values[k].Value * weights[k];
        return scope.Keep(sum);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var value in _values)
            value.Value.Dispose();
        _values.Clear();
    }
}
