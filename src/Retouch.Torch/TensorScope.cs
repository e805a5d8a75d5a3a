namespace Retouch.Torch;

/// <summary>
/// Owns the tensors created on this thread while it is the innermost scope, and frees them when it ends. Scopes nest. A tensor that
/// must outlive its scope is moved to the enclosing scope by <see cref="Keep{T}(T)"/>, or to no scope by <see cref="Tensor.Escape"/>.
/// </summary>
public sealed class TensorScope : IDisposable
{
    [ThreadStatic]
    private static TensorScope? _current;

    private readonly TensorScope? _outer;
    private readonly List<Tensor> _tensors = [];
    private bool _ended;

    private TensorScope(TensorScope? outer) => _outer = outer;

    /// <summary>Innermost open scope of this thread, or null.</summary>
    internal static TensorScope? Current => _current;

    /// <summary>Number of tensors owned by the scope.</summary>
    public int Count => _tensors.Count;

    /// <summary>Opens a scope; dispose it on the same thread, innermost first.</summary>
    public static TensorScope Enter() => _current = new TensorScope(_current);

    /// <summary>
    /// Moves a tensor of this scope to the enclosing one (or, without one, to the caller). Tensors of other owners are unchanged.
    /// </summary>
    public Tensor Keep(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (ReferenceEquals(tensor.Scope, this))
        {
            Remove(tensor);
            _outer?.Add(tensor);
        }

        return tensor;
    }

    /// <summary>Moves several tensors to the enclosing scope.</summary>
    public T Keep<T>(T tensors)
        where T : IEnumerable<Tensor>
    {
        foreach (var tensor in tensors)
            Keep(tensor);
        return tensors;
    }

    /// <summary>Moves a tensor of a nested scope, at any depth, to this scope.</summary>
    public Tensor Adopt(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        tensor.Scope?.Remove(tensor);
        Add(tensor);
        return tensor;
    }

    /// <summary>Frees the tensors of the scope and reopens the enclosing scope as the innermost.</summary>
    /// <exception cref="InvalidOperationException">An inner scope is still open, or the scope belongs to another thread.</exception>
    public void Dispose()
    {
        if (_ended)
            return;
        if (!ReferenceEquals(_current, this))
            throw new InvalidOperationException("Tensor scopes must end innermost first, on the thread that opened them.");
        _ended = true;
        _current = _outer;
        Free();
    }

    /// <summary>Frees in reverse order of creation, in batches per native call.</summary>
    private unsafe void Free()
    {
        const int Most = 128;
        var handles = stackalloc nint[Most];
        var count = 0;
        for (var k = _tensors.Count - 1; k >= 0; k--)
        {
            handles[count++] = _tensors[k].Surrender();
            if (count == Most || k == 0)
            {
                Interop.Native.TensorsFree(handles, count);
                count = 0;
            }
        }

        _tensors.Clear();
    }

    internal void Add(Tensor tensor)
    {
        tensor.Scope = this;
        tensor.Slot = _tensors.Count;
        _tensors.Add(tensor);
    }

    internal void Remove(Tensor tensor)
    {
        var last = _tensors[^1];
        _tensors[tensor.Slot] = last;
        last.Slot = tensor.Slot;
        _tensors.RemoveAt(_tensors.Count - 1);
        tensor.Scope = null;
    }
}
