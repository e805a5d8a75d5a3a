using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>Parameters with and without weight decay.</summary>
/// <param name="parameters">All parameters.</param>
/// <param name="weightDecay">Decoupled weight decay.</param>
/// <param name="on">Parameters that have it.</param>
internal sealed class DecayGroups(IReadOnlyList<Parameter> parameters, double weightDecay, DecayedParameters on)
{
    private readonly bool[] _decayed =
    [
        .. parameters.Select(p => weightDecay != 0 && (on == DecayedParameters.All || p is { Shape.Length: > 1, IsTable: false })),
    ];

    /// <summary>Weight decay of a parameter.</summary>
    public double this[int index] => _decayed[index] ? weightDecay : 0;

    /// <summary>Indices by weight decay; no group is empty.</summary>
    /// <param name="indices">Indices of parameters.</param>
    /// <param name="places">Whether the groups contain places in <paramref name="indices"/> rather than the indices.</param>
    public IEnumerable<(int[] Group, double Decay)> Of(int[] indices, bool places = false) =>
        Enumerable
            .Range(0, indices.Length)
            .GroupBy(k => _decayed[indices[k]], k => places ? k : indices[k])
            .OrderByDescending(static g => g.Key)
            .Select(g => (g.ToArray(), g.Key ? weightDecay : 0));

    /// <summary>Multiplies the weights that have decay by 1 − rate·decay.</summary>
    /// <param name="indices">Indices of parameters.</param>
    /// <param name="values">Their values.</param>
    /// <param name="rate">Learning rate.</param>
    public void Decay(int[] indices, Tensor[] values, double rate)
    {
        Tensor[] decayed = [.. values.Where((_, k) => _decayed[indices[k]])];
        if (decayed.Length > 0)
            Ops.ForeachMulInPlace(decayed, 1 - (rate * weightDecay));
    }
}
