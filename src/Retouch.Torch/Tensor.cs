using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// A libtorch tensor. It is owned by the innermost <see cref="TensorScope"/> of the thread that created it or, outside any scope, by
/// the caller, who must dispose it. There is no finalizer: a tensor that is not freed is a leak, which <see cref="LiveCount"/> shows.
/// </summary>
public sealed unsafe class Tensor : IDisposable
{
    private static long _live;
    private nint _handle;
    private long[]? _shape;

    internal Tensor(nint handle)
    {
        _handle = handle;
        Interlocked.Increment(ref _live);
        TensorScope.Current?.Add(this);
    }

    /// <summary>Number of live tensors in the process.</summary>
    public static long LiveCount => Interlocked.Read(ref _live);

    /// <summary>Sizes of the dimensions.</summary>
    public long[] Shape
    {
        get
        {
            if (_shape is null)
            {
                var info = TensorInfo.Of(Handle);
                _shape = new Span<long>(info.Sizes, info.Dim).ToArray();
            }

            return _shape;
        }
    }

    /// <summary>Number of dimensions.</summary>
    public int Dim => Shape.Length;

    /// <summary>Number of elements.</summary>
    public long Count => TensorInfo.Of(Handle).Count;

    /// <summary>Element type.</summary>
    public DType DType => (DType)TensorInfo.Of(Handle).DType;

    /// <summary>Device of the elements.</summary>
    public Device Device
    {
        get
        {
            var info = TensorInfo.Of(Handle);
            return new Device((DeviceType)info.DeviceType, Math.Max(info.DeviceIndex, 0));
        }
    }

    /// <summary>Whether the elements are in row-major order without gaps.</summary>
    public bool IsContiguous => TensorInfo.Of(Handle).Contiguous != 0;

    /// <summary>Whether the tensor requires gradients. Can only be set on leaves.</summary>
    public bool RequiresGrad
    {
        get => TensorInfo.Of(Handle).RequiresGrad != 0;
        set { Native.Check(Native.TensorSetRequiresGrad(Handle, value ? 1 : 0), "requires_grad"); }
    }

    /// <summary>
    /// Gradient accumulated by <see cref="Autograd.Backward(Tensor, Tensor?, bool)"/>, as a new tensor that shares its memory; null if
    /// there is none.
    /// </summary>
    public Tensor? Grad
    {
        get
        {
            nint grad;
            Native.Check(Native.TensorGrad(Handle, &grad), "grad");
            return grad == 0 ? null : new Tensor(grad);
        }
        set { Native.Check(Native.TensorSetGrad(Handle, value?.Handle ?? 0), "grad"); }
    }

    /// <summary>Whether the tensor was freed.</summary>
    public bool IsDisposed => _handle == 0;

    internal nint Handle
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get =>
            _handle != 0
                ? _handle
                : throw new ObjectDisposedException(nameof(Tensor), "The tensor was freed; it belonged to a scope that has ended.");
    }

    internal TensorScope? Scope { get; set; }

    internal int Slot { get; set; }

    /// <summary>Sum.</summary>
    public static Tensor operator +(Tensor a, Tensor b) => a.Add(b, 1);

    /// <inheritdoc cref="op_Addition(Tensor, Tensor)"/>
    public static Tensor operator +(Tensor a, double b) => a.Add(b, 1);

    /// <summary>Difference.</summary>
    public static Tensor operator -(Tensor a, Tensor b) => a.Sub(b, 1);

    /// <inheritdoc cref="op_Subtraction(Tensor, Tensor)"/>
    public static Tensor operator -(Tensor a, double b) => a.Sub(b, 1);

    /// <inheritdoc cref="op_Subtraction(Tensor, Tensor)"/>
    public static Tensor operator -(double a, Tensor b) => b.Rsub(a, 1);

    /// <summary>Negation.</summary>
    public static Tensor operator -(Tensor a) => a.Neg();

    /// <summary>Elementwise product.</summary>
    public static Tensor operator *(Tensor a, Tensor b) => a.Mul(b);

    /// <inheritdoc cref="op_Multiply(Tensor, Tensor)"/>
    public static Tensor operator *(Tensor a, double b) => a.Mul(b);

    /// <inheritdoc cref="op_Multiply(Tensor, Tensor)"/>
    public static Tensor operator *(double a, Tensor b) => b.Mul(a);

    /// <summary>Elementwise quotient.</summary>
    public static Tensor operator /(Tensor a, Tensor b) => a.Div(b);

    /// <inheritdoc cref="op_Division(Tensor, Tensor)"/>
    public static Tensor operator /(Tensor a, double b) => a.Div(b);

    /// <summary>Creates a CPU tensor with a copy of <paramref name="data"/>.</summary>
    /// <param name="data">Elements in row-major order.</param>
    /// <param name="shape">Sizes of the dimensions; empty for one dimension.</param>
    public static Tensor From<T>(ReadOnlySpan<T> data, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        ReadOnlySpan<long> sizes = shape.IsEmpty ? [data.Length] : shape;
        var tensor = Ops.Empty(sizes, dtype: DTypes.Of<T>());
        if (tensor.Count != data.Length)
        {
            tensor.Dispose();
            throw new ArgumentException(
                $"{data.Length} elements do not fill a tensor of shape [{string.Join(", ", sizes.ToArray())}].",
                nameof(shape)
            );
        }

        data.CopyTo(tensor.Span<T>());
        return tensor;
    }

    /// <inheritdoc cref="From{T}(ReadOnlySpan{T}, ReadOnlySpan{long})"/>
    public static Tensor From<T>(T[] data, params ReadOnlySpan<long> shape)
        where T : unmanaged => From(new ReadOnlySpan<T>(data), shape);

    /// <summary>Creates a zero-dimensional tensor.</summary>
    public static Tensor Scalar(double value, DType dtype = DType.Float32) => Ops.Full([], value, dtype: dtype);

    /// <summary>
    /// Creates a CPU tensor over external memory. <paramref name="release"/> is called once, when the last tensor that shares the
    /// memory is freed.
    /// </summary>
    /// <param name="data">Start of the memory.</param>
    /// <param name="shape">Sizes of the dimensions.</param>
    /// <param name="dtype">Element type.</param>
    /// <param name="release">Called when the memory is no longer used; null for memory that lives as long as the process.</param>
    public static Tensor Over(void* data, ReadOnlySpan<long> shape, DType dtype, Action? release = null)
    {
        Native.Load();
        nint tensor;
        fixed (long* sizes = shape)
        {
            // Called once by the native side, whether or not the call succeeds.
            var context = release is null ? 0 : Callback.OnRelease(release);
            var status = Native.TensorFromBlob(
                data,
                sizes,
                shape.Length,
                (int)dtype,
                release is null ? null : &Callback.Release,
                context,
                &tensor
            );
            Native.Check(status, "from_blob");
        }

        return new Tensor(tensor);
    }

    /// <summary>Elements of a contiguous CPU tensor, in place. Valid while the tensor lives.</summary>
    /// <exception cref="InvalidOperationException">The element type or device differs, or the tensor is not contiguous.</exception>
    public Span<T> Span<T>()
        where T : unmanaged
    {
        var info = TensorInfo.Of(Handle);
        var size = ((DType)info.DType).Size();
        if (
            info.DeviceType != 0
            || info.Contiguous == 0
            || size != Unsafe.SizeOf<T>()
            || (DTypes.Of<T>() != (DType)info.DType && typeof(T) != typeof(short))
        )
            throw new InvalidOperationException(
                $"A {(DType)info.DType} tensor on device type {info.DeviceType} (contiguous: {info.Contiguous != 0}) cannot be "
                    + $"read in place as {typeof(T)}."
            );
        return new Span<T>((void*)info.Data, checked((int)info.Count));
    }

    /// <summary>
    /// Raw bytes of a contiguous CPU tensor of less than 2 GiB. Valid while the tensor lives. <see cref="WriteTo"/> has no size limit.
    /// </summary>
    /// <exception cref="InvalidOperationException">The tensor is on another device, not contiguous, or too large for a
    /// span.</exception>
    public ReadOnlySpan<byte> Bytes()
    {
        var (data, length) = Memory();
        return length <= int.MaxValue
            ? new ReadOnlySpan<byte>((void*)data, (int)length)
            : throw new InvalidOperationException($"A tensor of {length} bytes cannot be read at once; write it in pieces.");
    }

    /// <summary>Writes the raw bytes of a contiguous CPU tensor of any size.</summary>
    /// <param name="stream">Output stream.</param>
    /// <param name="piece">Maximum bytes per write.</param>
    /// <exception cref="InvalidOperationException">The tensor is on another device or not contiguous.</exception>
    public void WriteTo(Stream stream, int piece = 1 << 26)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentOutOfRangeException.ThrowIfLessThan(piece, 1);
        var (data, length) = Memory();
        for (var done = 0L; done < length; done += piece)
            stream.Write(new ReadOnlySpan<byte>((byte*)data + done, (int)Math.Min(piece, length - done)));
    }

    /// <summary>Copies the elements, converted to <typeparamref name="T"/>, in row-major order.</summary>
    public T[] ToArray<T>()
        where T : unmanaged
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return this.Detach().To(DTypes.Of<T>()).To(Device.Cpu).Contiguous().Span<T>().ToArray();
    }

    /// <summary>Value of a tensor with one element.</summary>
    public double Item()
    {
        if (Count != 1)
            throw new InvalidOperationException($"A tensor of shape [{string.Join(", ", Shape)}] has more or less than one element.");
        return ToArray<double>()[0];
    }

    /// <summary>Converts to another dtype; returns the tensor itself if it already has that dtype.</summary>
    public Tensor To(DType dtype) => DType == dtype ? this : Ops.To(this, dtype, nonBlocking: false, copy: false);

    /// <summary>
    /// Copies to another device; returns the tensor itself if it is already there. Copies to a GPU are asynchronous
    /// (<see cref="HostTransfer"/>), copies from a GPU are not.
    /// </summary>
    public Tensor To(Device device) => Device == device ? this : HostTransfer.Move(this, device);

    /// <summary>A second handle to the same tensor, with its own owner.</summary>
    public Tensor Share() => new(Native.TensorShare(Handle));

    /// <summary>Memory in bytes that the tensor has, alone or with others; 0 while it is released.</summary>
    internal long StorageBytes => TensorInfo.Of(Handle).StorageBytes;

    /// <summary>
    /// Frees the memory of a contiguous tensor that shares it with no other; shape, type, gradient and graph remain. Its elements must not
    /// be used until <see cref="AllocateMemory"/>.
    /// </summary>
    /// <exception cref="TorchException">The tensor is a part of another.</exception>
    internal void ReleaseMemory() => Native.Check(Native.TensorReleaseMemory(Handle), "release the memory of a tensor");

    /// <summary>Allocates the memory of a tensor again, with undefined elements.</summary>
    internal void AllocateMemory() => Native.Check(Native.TensorAllocateMemory(Handle), "allocate the memory of a tensor");

    /// <summary>Removes the tensor from its scope; the caller must dispose it.</summary>
    public Tensor Escape()
    {
        Scope?.Remove(this);
        return this;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Scope?.Remove(this);
        var handle = Surrender();
        if (handle != 0)
            Native.TensorFree(handle);
    }

    /// <inheritdoc/>
    public override string ToString() => IsDisposed ? "freed tensor" : $"{DType} [{string.Join(", ", Shape)}] on {Device}";

    /// <summary>Releases ownership of the handle, to be freed in a batch; 0 if the tensor was already freed.</summary>
    internal nint Surrender()
    {
        var handle = _handle;
        Scope = null;
        _handle = 0;
        if (handle != 0)
            Interlocked.Decrement(ref _live);
        return handle;
    }

    private (nint Data, long Length) Memory()
    {
        var info = TensorInfo.Of(Handle);
        return info.DeviceType == 0 && info.Contiguous != 0
            ? (info.Data, info.Count * ((DType)info.DType).Size())
            : throw new InvalidOperationException("Only contiguous CPU tensors can be read in place.");
    }
}
