namespace Retouch.Torch.Nn;

/// <summary>A checkpoint seen under other keys: those of today, where an older or newer library named them otherwise.</summary>
/// <param name="source">The checkpoint.</param>
/// <param name="rename">
/// From a stored key to the one it is asked for by. Where the other key is stored too, the renamed one keeps its own name, to be reported
/// as unexpected.
/// </param>
public sealed class RenamedTensors(ITensorSource source, Func<string, string> rename) : ITensorSource
{
    private readonly Dictionary<string, string> _stored = Index(source.Names, rename);

    /// <inheritdoc/>
    public IEnumerable<string> Names => _stored.Keys;

    /// <inheritdoc/>
    public long[] ShapeOf(string name) => source.ShapeOf(_stored[name]);

    /// <inheritdoc/>
    public Tensor Read(string name) => source.Read(_stored[name]);

    /// <inheritdoc/>
    public Tensor ReadOwned(string name) => source.ReadOwned(_stored[name]);

    private static Dictionary<string, string> Index(IEnumerable<string> names, Func<string, string> rename)
    {
        var stored = names.ToHashSet(StringComparer.Ordinal);
        return stored.ToDictionary(name => rename(name) is var today && stored.Contains(today) ? name : today, StringComparer.Ordinal);
    }
}
