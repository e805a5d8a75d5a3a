namespace Retouch.Torch.Nn;

/// <summary>
/// A tensor of a network under its checkpoint key. It exists from construction on; its memory does only once the store has it allocated or
/// loaded.
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

    /// <summary>The key in a checkpoint, for example <c>decoder.up_blocks.0.resnets.1.conv1.weight</c>.</summary>
    public string Name { get; }

    /// <summary>Sizes of the dimensions.</summary>
    public long[] Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, static (a, b) => a * b);

    /// <summary>Whether it is stored but not trained.</summary>
    public bool IsBuffer { get; }

    /// <summary>Whether it has memory.</summary>
    public bool HasValue => _value is not null;

    /// <summary>The tensor.</summary>
    /// <exception cref="InvalidOperationException">The store has neither initialised nor loaded it yet.</exception>
    public Tensor Value =>
        _value ?? throw new InvalidOperationException($"Parameter '{Name}' has no value yet; initialise or load its store first.");

    /// <summary>The tensor, and those of the adapter beside it while that is on: what a layer of this weight computes with.</summary>
    public IEnumerable<Tensor> Leaves => Adapter is { IsOn: true } adapter ? [Value, adapter.Down.Value, adapter.Up.Value] : [Value];

    /// <summary>Whether a low-rank adapter may stand beside it: it is the weight of a linear layer or a convolution.</summary>
    public bool IsAdaptable { get; internal set; }

    /// <summary>Whether it is a table of vectors that are looked up, not a matrix that is multiplied.</summary>
    public bool IsTable { get; internal set; }

    /// <summary>Path of the layer whose weight this is.</summary>
    internal string LayerPath => Name[..Math.Max(0, Name.LastIndexOf('.'))];

    internal LowRankAdapter? Adapter { get; set; }

    internal Init Init { get; }

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
