using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Torch.Nn;

/// <summary>All tensors of a network by key, in order of construction: allocation, loading, freezing, saving.</summary>
public sealed class ParameterStore : IDisposable
{
    private readonly Dictionary<string, Parameter> _byName = new(StringComparer.Ordinal);
    private readonly List<Parameter> _all = [];
    private readonly List<IReadOnlyList<Parameter>> _blocks = [];

    /// <summary>Root path for the construction of networks.</summary>
    public ParameterPath Root => new(this, "");

    /// <summary>Parameters and buffers, in order of construction.</summary>
    public IReadOnlyList<Parameter> All => _all;

    /// <summary>
    /// Parameters of each block of the network, in order of construction: those that the block alone reads, in one call. Other parameters
    /// belong to none.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<Parameter>> Blocks => _blocks;

    /// <summary>Trainable parameters, in order of construction.</summary>
    public IEnumerable<Parameter> Trained => _all.Where(static p => !p.IsBuffer);

    /// <summary>Number of trainable elements.</summary>
    public long Count => Trained.Sum(static p => p.Count);

    /// <summary>Narrow storage of layer weights, or null. See <see cref="Narrow"/>.</summary>
    public NarrowLayers? NarrowLayers { get; private set; }

    /// <summary>Type of the network's inputs: that of its tensors, apart from narrow weights.</summary>
    public DType InputType =>
        NarrowLayers is null
            ? _all[0].Value.DType
            : _all.Find(static p => !p.IsAdaptable && p.Value.DType.IsFloatingPoint())?.Value.DType ?? DType.Float32;

    /// <summary>Receives path and output of every observed module, for probing; or null.</summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>
    /// Maps a key of a checkpoint of another library version to the network's; other keys are unchanged. See <see cref="RenamedTensors"/>.
    /// </summary>
    public Func<string, string>? OtherKeys { get; init; }

    /// <summary>
    /// Keys of unused tensors of older checkpoints: position ids, a second copy of a shared embedding. Those that a checkpoint has become
    /// buffers, so that loading and saving preserves its tensors.
    /// </summary>
    public IReadOnlyList<string> UnusedKeys { get; init; } = [];

    /// <summary>Parameter by key, or null.</summary>
    public Parameter? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>
    /// Allocates and initialises all tensors. Values are drawn in float32 on the CPU, in order of construction, so that they do not
    /// depend on the device.
    /// </summary>
    public void Initialise(Generator generator, Device device, DType dtype = DType.Float32)
    {
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in _all)
        {
            using var scope = TensorScope.Enter();
            var value = Ops.Empty(parameter.Shape, dtype: DType.Float32);
            parameter.Init(value, generator);
            parameter.Set(value.To(Kept(parameter, DType.Float32, dtype)).To(device));
        }
    }

    /// <summary>
    /// Keeps the weights of linear and convolution layers in a narrower type, from the next initialisation, loading or copying on. Existing
    /// weights are converted. Optimisers round trained ones stochastically.
    /// </summary>
    /// <param name="layers">Type and selection of the weights.</param>
    public void Narrow(NarrowLayers layers)
    {
        ArgumentNullException.ThrowIfNull(layers);
        NarrowLayers = layers;
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in _all.Where(static p => p.HasValue))
        {
            using var scope = TensorScope.Enter();
            var (value, dtype) = (parameter.Value, parameter.Value.DType);
            if (Kept(parameter, dtype, dtype) is var narrow && narrow != dtype)
                parameter.Set(value.Detach().To(narrow));
        }
    }

    /// <summary>
    /// Loads all tensors from <paramref name="source"/>, with dtype conversion. On error, nothing is changed.
    /// </summary>
    /// <param name="source">Checkpoint tensors.</param>
    /// <param name="device">Device of the parameters.</param>
    /// <param name="dtype">Dtype of the parameters; null for the stored dtype. Integer tensors always keep theirs.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Keys are missing or unexpected, or shapes differ; all problems are listed.</exception>
    public void Load(ITensorSource source, Device device, DType? dtype, string origin)
    {
        source = Keyed(source);
        var problems = Differences(source);
        if (problems.Count > 0)
            throw new InputException(
                $"'{origin}' does not match the network that its config.json describes ({problems.Count} keys):\n  "
                    + $"{string.Join("\n  ", Excerpt.First(problems))}\nUse the config.json that belongs to these weights."
            );
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in _all)
        {
            using var scope = TensorScope.Enter();
            // Read into separate memory, so that mapped pages do not add to the memory of the weights.
            var stored = source.ReadOwned(parameter.Name);
            parameter.Set(stored.To(Kept(parameter, stored.DType, stored.DType.ConvertedTo(dtype))).To(device));
        }
    }

    /// <summary>
    /// Missing and unexpected keys of a checkpoint and differences of shape, one line each. No tensor is read;
    /// <see cref="UnusedKeys"/> of the checkpoint become buffers.
    /// </summary>
    public IReadOnlyList<string> Compare(ITensorSource source) => Differences(Keyed(source));

    /// <summary>Copies the values of a store with the same keys. The copies do not require gradients.</summary>
    public void CopyFrom(ParameterStore other)
    {
        ArgumentNullException.ThrowIfNull(other);
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in _all)
        {
            using var scope = TensorScope.Enter();
            var source =
                other.Find(parameter.Name) ?? throw new ArgumentException($"The other store has no '{parameter.Name}'.", nameof(other));
            var (value, dtype) = (source.Value.Detach(), source.Value.DType);
            var kept = Kept(parameter, dtype, dtype);
            parameter.Set(kept == dtype ? value.Clone() : value.To(kept));
        }
    }

    /// <summary>Makes parameters buffers: stored, but not trained.</summary>
    /// <param name="which">Selects parameters by key.</param>
    public void Freeze(Func<string, bool> which)
    {
        ArgumentNullException.ThrowIfNull(which);
        foreach (var parameter in _all.Where(p => which(p.Name)))
            parameter.IsBuffer = true;
    }

    /// <summary>Sets <see cref="Tensor.RequiresGrad"/> of all trainable parameters.</summary>
    public void RequireGrad(bool value)
    {
        foreach (var parameter in Trained)
            parameter.Value.RequiresGrad = value;
    }

    /// <summary>Declares a block: all parameters since the first one.</summary>
    /// <param name="first">Index of its first parameter in <see cref="All"/>.</param>
    /// <returns>Its parameters.</returns>
    public IReadOnlyList<Parameter> Block(int first)
    {
        Parameter[] block = [.. _all.Skip(first)];
        _blocks.Add(block);
        return block;
    }

    /// <summary>Tensors by key, in order of construction, for saving. They stay owned by the store.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Tensors() => _all.Select(static p => KeyValuePair.Create(p.Name, p.Value));

    /// <summary>Frees the memory of all tensors.</summary>
    public void Dispose() => _all.ForEach(static p => p.Free());

    internal Parameter Register(string name, long[] shape, Init init, bool isBuffer)
    {
        // Networks are built from untrusted files: an excessive number must not exhaust the memory.
        const int MostTensors = 20_000;
        const long MostElements = 1L << 40;
        if (_all.Count >= MostTensors || shape.Aggregate((Int128)1, static (a, b) => a * b) > MostElements)
            throw new InputException(
                $"The configuration describes an implausibly large network ('{name}' [{string.Join(", ", shape)}] is tensor "
                    + $"{_all.Count}). Check its numbers of layers, blocks and channels."
            );
        var parameter = new Parameter(name, shape, init, isBuffer);
        if (!_byName.TryAdd(name, parameter))
            throw new InvalidOperationException($"Two parameters have the key '{name}'.");
        _all.Add(parameter);
        return parameter;
    }

    private DType Kept(Parameter parameter, DType stored, DType otherwise) => NarrowLayers?.Of(parameter, stored, otherwise) ?? otherwise;

    /// <summary>A checkpoint under the network's keys; its unused tensors become buffers.</summary>
    private ITensorSource Keyed(ITensorSource source)
    {
        var keyed = OtherKeys is null ? source : new RenamedTensors(source, OtherKeys);
        foreach (var name in UnusedKeys.Where(name => Find(name) is null).Intersect(keyed.Names))
            Root.Buffer(name, keyed.ShapeOf(name), Inits.Zeros);
        return keyed;
    }

    private List<string> Differences(ITensorSource source)
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
