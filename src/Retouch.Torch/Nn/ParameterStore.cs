using Retouch.Core.Errors;

namespace Retouch.Torch.Nn;

/// <summary>All tensors of a network in the order of construction, by key: allocation, loading, freezing, saving.</summary>
public sealed class ParameterStore : IDisposable
{
    private readonly Dictionary<string, Parameter> _byName = new(StringComparer.Ordinal);
    private readonly List<Parameter> _all = [];

    /// <summary>The path that networks are constructed on.</summary>
    public ParameterPath Root => new(this, "");

    /// <summary>Parameters and buffers, in the order of construction.</summary>
    public IReadOnlyList<Parameter> All => _all;

    /// <summary>What is trained, in the order of construction.</summary>
    public IEnumerable<Parameter> Trained => _all.Where(static p => !p.IsBuffer);

    /// <summary>Number of trained elements.</summary>
    public long Count => Trained.Sum(static p => p.Count);

    /// <summary>Sees the output of every module that shows it, by the module's path. For probing; null otherwise.</summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>The parameter of a key, or null.</summary>
    public Parameter? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>
    /// Gives every tensor memory and its starting value. Values are drawn in float32 on the CPU, in the order of construction, so they do
    /// not depend on the device.
    /// </summary>
    public void Initialise(Generator generator, Device device, DType dtype = DType.Float32)
    {
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in _all)
        {
            using var scope = TensorScope.Enter();
            var value = Ops.Empty(parameter.Shape, dtype: DType.Float32);
            parameter.Init(value, generator);
            parameter.Set(value.To(dtype).To(device));
        }
    }

    /// <summary>
    /// Reads every tensor from <paramref name="source"/>, converting the type. Nothing is changed when anything is wrong.
    /// </summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Their type; null keeps the stored one, as integers do anyway.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Keys are missing, unexpected or of another shape: all of them are named at once.</exception>
    public void Load(ITensorSource source, Device device, DType? dtype, string origin)
    {
        var problems = Compare(source);
        if (problems.Count > 0)
        {
            const int Shown = 20;
            var more = problems.Count > Shown ? $"\n  … and {problems.Count - Shown} more" : "";
            throw new InputException(
                $"'{origin}' does not fit the network that its config.json describes ({problems.Count} keys):\n  "
                    + $"{string.Join("\n  ", problems.Take(Shown))}{more}\nUse the config.json that belongs to these weights."
            );
        }

        using var quiet = Autograd.NoGrad();
        foreach (var parameter in _all)
        {
            using var scope = TensorScope.Enter();
            // Its own memory, so that the pages of the file do not add up beside the weights.
            var stored = source.ReadOwned(parameter.Name);
            // Integers are indices or counts, which another type would spoil.
            parameter.Set((stored.DType.IsFloatingPoint() ? stored.To(dtype ?? stored.DType) : stored).To(device));
        }
    }

    /// <summary>Takes copies of the values of a store with the same keys. They need no gradient.</summary>
    public void CopyFrom(ParameterStore other)
    {
        ArgumentNullException.ThrowIfNull(other);
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in _all)
        {
            using var scope = TensorScope.Enter();
            var source =
                other.Find(parameter.Name) ?? throw new ArgumentException($"The other store has no '{parameter.Name}'.", nameof(other));
            parameter.Set(source.Value.Detach().Clone());
        }
    }

    /// <summary>Switches gradients of all trained tensors on or off.</summary>
    public void RequireGrad(bool value)
    {
        foreach (var parameter in Trained)
            parameter.Value.RequiresGrad = value;
    }

    /// <summary>The tensors by key, in the order of construction, for saving. They stay the store's.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Tensors() => _all.Select(static p => KeyValuePair.Create(p.Name, p.Value));

    /// <summary>Frees the memory of all tensors.</summary>
    public void Dispose() => _all.ForEach(static p => p.Free());

    internal Parameter Register(string name, long[] shape, Init init, bool isBuffer)
    {
        // Networks are built from files of strangers: a number too many in one must not fill the memory.
        const int MostTensors = 20_000;
        const long MostElements = 1L << 40;
        if (_all.Count >= MostTensors || shape.Aggregate((Int128)1, static (a, b) => a * b) > MostElements)
            throw new InputException(
                $"The configuration describes a network that is larger than any ('{name}' [{string.Join(", ", shape)}] is tensor "
                    + $"{_all.Count}). Check its numbers of layers, blocks and channels."
            );
        var parameter = new Parameter(name, shape, init, isBuffer);
        if (!_byName.TryAdd(name, parameter))
            throw new InvalidOperationException($"Two parameters are called '{name}'.");
        _all.Add(parameter);
        return parameter;
    }

    private List<string> Compare(ITensorSource source)
    {
        var stored = source.Names.ToHashSet(StringComparer.Ordinal);
        var problems = new List<string>();
        foreach (var parameter in _all)
        {
            if (!stored.Remove(parameter.Name))
                problems.Add($"missing: {parameter.Name} [{string.Join(", ", parameter.Shape)}]");
            else if (!source.ShapeOf(parameter.Name).AsSpan().SequenceEqual(parameter.Shape))
                problems.Add(
                    $"wrong shape: {parameter.Name} is [{string.Join(", ", source.ShapeOf(parameter.Name))}], the network has "
                        + $"[{string.Join(", ", parameter.Shape)}]"
                );
        }

        problems.AddRange(stored.Order(StringComparer.Ordinal).Select(static name => $"unexpected: {name}"));
        return problems;
    }
}
