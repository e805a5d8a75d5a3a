using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Conditioning;

/// <summary>Watches a network's modules while it runs.</summary>
internal static class Observing
{
    /// <summary>What the modules showed, by path; the first time each. The copies belong to the caller's scope.</summary>
    public static Dictionary<string, Tensor> Watch(ParameterStore store, Action run)
    {
        var seen = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        store.Observer = (name, value) => seen.TryAdd(name, value.Detach().Clone().Escape());
        run();
        store.Observer = null;
        using var scope = TensorScope.Enter();
        // A clone made here belongs to a scope, one made in a module's scope was taken out of it.
        var kept = seen.ToDictionary(static p => p.Key, p => scope.Keep(p.Value.Clone()), StringComparer.Ordinal);
        foreach (var value in seen.Values)
            value.Dispose();
        return kept;
    }
}
