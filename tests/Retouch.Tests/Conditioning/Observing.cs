using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Conditioning;

/// <summary>Observes the modules of a network during a run.</summary>
internal static class Observing
{
    /// <summary>First output of each module, by path. The copies belong to the caller's scope.</summary>
    public static Dictionary<string, Tensor> Watch(ParameterStore store, Action run)
    {
        var seen = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        store.Observer = (name, value) => seen.TryAdd(name, value.Detach().Clone().Escape());
        run();
        store.Observer = null;
        using var scope = TensorScope.Enter();
        // A clone created here belongs to a scope; one created in a module's scope was detached from it.
        var kept = seen.ToDictionary(static p => p.Key, p => scope.Keep(p.Value.Clone()), StringComparer.Ordinal);
        foreach (var value in seen.Values)
            value.Dispose();
        return kept;
    }
}
