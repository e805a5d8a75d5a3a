namespace Retouch.Torch.Nn;

/// <summary>Named tensors that can be read one by one.</summary>
public interface ITensorSource
{
    /// <summary>The keys.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>The shape stored under a key.</summary>
    long[] ShapeOf(string name);

    /// <summary>The tensor under a key, on the CPU; it may share the source's memory.</summary>
    Tensor Read(string name);

    /// <summary>
    /// The tensor under a key, on the CPU, with memory of its own. Files read it so that nothing of theirs stays in memory beside it; a
    /// source over another one hands this on, or the copy is made through the file's mapping.
    /// </summary>
    Tensor ReadOwned(string name) => Read(name).Clone();
}

/// <summary>A file of tensors.</summary>
public interface ITensorFile : ITensorSource, IDisposable
{
    /// <summary>The file.</summary>
    string FilePath { get; }

    /// <summary>The element type stored under a key.</summary>
    DType DTypeOf(string name);
}
