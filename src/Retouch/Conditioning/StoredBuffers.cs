using Retouch.Torch.Nn;

namespace Retouch.Conditioning;

/// <summary>
/// Unused tensors of older transformers checkpoints: position ids, a second copy of a shared embedding. They are kept so that loading
/// and saving a file preserves its tensors.
/// </summary>
internal static class StoredBuffers
{
    /// <summary>Registers the buffers that exist in a checkpoint.</summary>
    /// <param name="store">Parameters of the network.</param>
    /// <param name="source">Checkpoint tensors.</param>
    /// <param name="names">Keys of optional buffers.</param>
    public static void Adopt(ParameterStore store, ITensorSource source, params ReadOnlySpan<string> names)
    {
        var stored = source.Names.ToHashSet(StringComparer.Ordinal);
        foreach (var name in names)
        {
            if (stored.Contains(name) && store.Find(name) is null)
                store.Root.Buffer(name, source.ShapeOf(name), Inits.Zeros);
        }
    }
}
