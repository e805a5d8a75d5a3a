namespace Retouch.Torch.Nn;

/// <summary>A checkpoint with renamed keys, for files of older or newer library versions.</summary>
/// <param name="source">Underlying checkpoint.</param>
/// <param name="rename">
/// Maps a stored key to the requested key. If the requested key is stored too, the renamed tensor keeps its own key, to be reported as
/// unexpected.
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
