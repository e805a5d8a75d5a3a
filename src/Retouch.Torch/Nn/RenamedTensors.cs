namespace Retouch.Torch.Nn;

/// <summary>
/// Tensors of checkpoints under other keys: files of other library versions, parts of a file, a network in several files. Every key has a
/// <see cref="TensorOrigin"/>; tensors are read one at a time, when they are requested.
/// </summary>
public class RenamedTensors : ITensorSource
{
    private readonly Dictionary<string, (ITensorSource Source, TensorOrigin Origin)> _tensors = new(StringComparer.Ordinal);
    private readonly List<string> _missing = [];

    /// <summary>Tensors of one checkpoint.</summary>
    /// <param name="source">Underlying checkpoint.</param>
    /// <param name="origins">Keys and their origins.</param>
    public RenamedTensors(ITensorSource source, IEnumerable<KeyValuePair<string, TensorOrigin>> origins)
        : this(origins.Select(o => (o.Key, source, o.Value))) { }

    /// <summary>Tensors of one checkpoint, renamed by a rule.</summary>
    /// <param name="source">Underlying checkpoint.</param>
    /// <param name="rename">
    /// Maps a stored key to the requested key; null leaves the tensor out. If the requested key is stored too, the renamed tensor keeps its
    /// own key, to be reported as unexpected.
    /// </param>
    public RenamedTensors(ITensorSource source, Func<string, string?> rename)
        : this(Renamed(source, rename)) { }

    /// <summary>Tensors of several checkpoints.</summary>
    /// <param name="tensors">Keys, their checkpoints and their origins. A key occurs once.</param>
    public RenamedTensors(IEnumerable<(string Key, ITensorSource Source, TensorOrigin Origin)> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var stored = new Dictionary<ITensorSource, HashSet<string>>();
        foreach (var (key, source, origin) in tensors)
        {
            if (!stored.TryGetValue(source, out var names))
                stored[source] = names = source.Names.ToHashSet(StringComparer.Ordinal);
            if (names.Contains(origin.Key))
                _tensors.Add(key, (source, origin));
            else
                _missing.Add(origin.Key);
        }
    }

    /// <inheritdoc/>
    public IEnumerable<string> Names => _tensors.Keys;

    /// <summary>Origins that their checkpoint does not have, in the order of their declaration.</summary>
    public IReadOnlyList<string> Missing => _missing;

    /// <summary>Stored keys that are no tensor's origin, sorted.</summary>
    public IEnumerable<string> LeftOver =>
        _tensors
            .Values.GroupBy(static t => t.Source, static t => t.Origin.Key)
            .SelectMany(static used => used.Key.Names.Except(used))
            .Order(StringComparer.Ordinal);

    /// <summary>Shape after the transformation; the stored shape if the transformation does not apply to it.</summary>
    public long[] ShapeOf(string name)
    {
        var (source, origin) = _tensors[name];
        var stored = source.ShapeOf(origin.Key);
        return origin.ShapeFrom(stored) ?? stored;
    }

    /// <inheritdoc/>
    public DType DTypeOf(string name) => _tensors[name].Source.DTypeOf(_tensors[name].Origin.Key);

    /// <inheritdoc/>
    public Tensor Read(string name)
    {
        var (source, origin) = _tensors[name];
        return origin.Apply(source.Read(origin.Key));
    }

    /// <inheritdoc/>
    public Tensor ReadOwned(string name)
    {
        var (source, origin) = _tensors[name];
        // A slice of an owned tensor would hold all of its memory.
        return origin.KeepsElements ? origin.Apply(source.ReadOwned(origin.Key)) : origin.Apply(source.Read(origin.Key)).Clone();
    }

    private static IEnumerable<(string Key, ITensorSource Source, TensorOrigin Origin)> Renamed(
        ITensorSource source,
        Func<string, string?> rename
    )
    {
        var taken = source.Names.ToHashSet(StringComparer.Ordinal);
        foreach (var name in source.Names)
        {
            if (rename(name) is { } key)
                yield return (taken.Add(key) ? key : name, source, new TensorOrigin(name));
        }
    }
}
