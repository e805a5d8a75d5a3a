using Retouch.Torch.Nn;

namespace Retouch.Conditioning;

/// <summary>
/// Tensors that older files of transformers hold beside the network's own: counted positions, a second copy of a shared table. Nothing
/// computes with them; they are kept so that a file that is loaded and saved has the tensors it had.
/// </summary>
internal static class StoredBuffers
{
    /// <summary>Registers the buffers that a checkpoint has.</summary>
    /// <param name="store">The network's tensors.</param>
    /// <param name="source">The checkpoint.</param>
    /// <param name="names">Keys that may be there.</param>
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
