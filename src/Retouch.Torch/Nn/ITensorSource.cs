namespace Retouch.Torch.Nn;

/// <summary>Named tensors that can be read individually.</summary>
public interface ITensorSource
{
    /// <summary>Tensor keys.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>Stored shape of a tensor.</summary>
    long[] ShapeOf(string name);

    /// <summary>Stored element type of a tensor.</summary>
    DType DTypeOf(string name) => Read(name).DType;

    /// <summary>Reads a tensor to the CPU; it can share the source's memory.</summary>
    Tensor Read(string name);

    /// <summary>
    /// Reads a tensor to the CPU with its own memory. Files read directly, so that no mapped pages stay in memory; a wrapper of another
    /// source must forward the call, or the copy is made through the mapping.
    /// </summary>
    Tensor ReadOwned(string name) => Read(name).Clone();
}

/// <summary>A tensor file.</summary>
public interface ITensorFile : ITensorSource, IDisposable
{
    /// <summary>File path.</summary>
    string FilePath { get; }
}
