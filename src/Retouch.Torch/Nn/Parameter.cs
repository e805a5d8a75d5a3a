namespace Retouch.Torch.Nn;

/// <summary>
/// A tensor of a network under its checkpoint key. It exists from construction; its memory is allocated when the store is initialised
/// or loaded.
/// </summary>
public sealed class Parameter
{
    private Tensor? _value;

    internal Parameter(string name, long[] shape, Init init, bool isBuffer)
    {
        Name = name;
        Shape = shape;
        Init = init;
        IsBuffer = isBuffer;
    }

    /// <summary>Checkpoint key, e.g. <c>decoder.up_blocks.0.resnets.1.conv1.weight</c>.</summary>
    public string Name { get; }

    /// <summary>Sizes of the dimensions.</summary>
    public long[] Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, static (a, b) => a * b);

    /// <summary>Whether it is stored but not trained.</summary>
    public bool IsBuffer { get; internal set; }

    /// <summary>Whether memory is allocated.</summary>
    public bool HasValue => _value is not null;

    /// <summary>Value of the parameter.</summary>
    /// <exception cref="InvalidOperationException">The store has not been initialised or loaded.</exception>
    public Tensor Value =>
        _value ?? throw new InvalidOperationException($"Parameter '{Name}' has no value yet; initialise or load its store first.");

    /// <summary>All leaf tensors of the weight's layer: the value, and with an active adapter its two matrices.</summary>
    public IEnumerable<Tensor> Leaves => Adapter is { IsOn: true } adapter ? [Value, adapter.Down.Value, adapter.Up.Value] : [Value];

    /// <summary>Whether it can have a low-rank adapter, as the weight of a linear or convolution layer.</summary>
    public bool IsAdaptable { get; internal set; }

    /// <summary>Whether it is an embedding table rather than a matrix.</summary>
    public bool IsTable { get; internal set; }

    /// <summary>Weights of the block to which it belongs, if they are divided among processes; null if the value is always there.</summary>
    public IBlockWeights? Block { get; internal set; }

    /// <summary>Path of the layer that owns the weight.</summary>
    internal string LayerPath => Name[..Math.Max(0, Name.LastIndexOf('.'))];

    internal LowRankAdapter? Adapter { get; set; }

    internal Init Init { get; }

    /// <summary>
    /// The value in the type of a layer's input if it is kept in a narrower one and autocast does not convert it; disposed by the caller.
    /// Null if the value can be used as it is.
    /// </summary>
    internal Tensor? Widened(Tensor input) =>
        Value.DType.Size() < input.DType.Size() && Autocast.Current is null ? Value.To(input.DType) : null;

    internal void Set(Tensor value)
    {
        _value?.Dispose();
        _value = value.Escape();
    }

    internal void Free()
    {
        _value?.Dispose();
        _value = null;
    }
}
