using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>A value of a level that the sampler went through: ẑ0, ε̂ or v̂, as the method has it.</summary>
/// <param name="At">The level.</param>
/// <param name="Value">The value there.</param>
internal readonly record struct PastValue(NoisePoint At, Tensor Value);

/// <summary>What a multistep method remembers of the last steps; the tensors are its own.</summary>
/// <param name="most">Steps that are remembered.</param>
internal sealed class PastValues(int most) : IDisposable
{
    private readonly List<PastValue> _values = [];

    /// <summary>Newest first.</summary>
    public IReadOnlyList<PastValue> Values => _values;

    /// <summary>Remembers the newest.</summary>
    /// <param name="at">Its level.</param>
    /// <param name="value">Stays the caller's.</param>
    public void Add(NoisePoint at, Tensor value)
    {
        // A network may hand out a tensor of its own: what is kept here is this object's to free.
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
