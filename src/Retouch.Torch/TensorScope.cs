namespace Retouch.Torch;

/// <summary>
/// Owns the tensors made on this thread while it is the innermost scope, and frees them when it ends. Scopes nest; what must outlive one
/// is handed to the enclosing scope by <see cref="Keep{T}(T)"/>, or to nobody by <see cref="Tensor.Escape"/>.
/// </summary>
public sealed class TensorScope : IDisposable
{
    [ThreadStatic]
    private static TensorScope? s_current;

    private readonly TensorScope? _outer;
    private readonly List<Tensor> _tensors = [];
    private bool _ended;

    private TensorScope(TensorScope? outer) => _outer = outer;

    /// <summary>The innermost open scope of this thread, or null.</summary>
    internal static TensorScope? Current => s_current;

    /// <summary>Tensors that the scope would free if it ended now.</summary>
    public int Count => _tensors.Count;

    /// <summary>Opens a scope; dispose it on the same thread, innermost first.</summary>
    public static TensorScope Enter() => s_current = new TensorScope(s_current);

    /// <summary>
    /// Hands a tensor of this scope to the enclosing one (or, without one, to the caller). Tensors of other owners stay theirs.
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

    /// <summary>Hands several tensors to the enclosing scope.</summary>
    public T Keep<T>(T tensors)
        where T : IEnumerable<Tensor>
    {
        foreach (var tensor in tensors)
            Keep(tensor);
        return tensors;
    }

    /// <summary>Takes over a tensor of a scope inside this one, however deep.</summary>
    public Tensor Adopt(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        tensor.Scope?.Remove(tensor);
        Add(tensor);
        return tensor;
    }

    /// <summary>Frees what the scope still owns and makes the enclosing scope the innermost again.</summary>
    /// <exception cref="InvalidOperationException">An inner scope is still open, or the scope belongs to another thread.</exception>
    public void Dispose()
    {
        if (_ended)
            return;
        if (!ReferenceEquals(s_current, this))
            throw new InvalidOperationException("Tensor scopes end innermost first, on the thread that opened them.");
        _ended = true;
        s_current = _outer;
        Free();
    }

    /// <summary>Frees in the order opposite to making, many in one crossing.</summary>
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
