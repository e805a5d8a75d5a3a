using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// A libtorch tensor. It belongs to the innermost <see cref="TensorScope"/> of the thread that made it, or, outside any scope, to the
/// caller, who disposes it. There is no finalizer: what nobody frees is a leak that <see cref="LiveCount"/> shows.
/// </summary>
public sealed unsafe class Tensor : IDisposable
{
    private static long s_live;
    private nint _handle;
    private long[]? _shape;

    internal Tensor(nint handle)
    {
        _handle = handle;
        Interlocked.Increment(ref s_live);
        TensorScope.Current?.Add(this);
    }

    /// <summary>Tensors of this process that are not freed.</summary>
    public static long LiveCount => Interlocked.Read(ref s_live);

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

    /// <summary>Where the elements are.</summary>
    public Device Device
    {
        get
        {
            var info = TensorInfo.Of(Handle);
            return new Device((DeviceType)info.DeviceType, Math.Max(info.DeviceIndex, 0));
        }
    }

    /// <summary>Whether the elements stand in row-major order without gaps.</summary>
    public bool IsContiguous => TensorInfo.Of(Handle).Contiguous != 0;

    /// <summary>Whether gradients flow to this tensor. Only leaves can be set.</summary>
    public bool RequiresGrad
    {
        get => TensorInfo.Of(Handle).RequiresGrad != 0;
        set { Native.Check(Native.TensorSetRequiresGrad(Handle, value ? 1 : 0), "requires_grad"); }
    }

    /// <summary>
    /// The gradient that <see cref="Autograd.Backward(Tensor, Tensor?, bool)"/> has added up, as a new tensor that shares its memory; null
    /// where there is none.
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

    /// <summary>A CPU tensor with a copy of <paramref name="data"/>.</summary>
    /// <param name="data">Elements in row-major order.</param>
    /// <param name="shape">Sizes whose product is the number of elements; none for one dimension.</param>
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

    /// <summary>A tensor without dimensions.</summary>
    public static Tensor Scalar(double value, DType dtype = DType.Float32) => Ops.Full([], value, dtype: dtype);

    /// <summary>
    /// A CPU tensor over memory that somebody else owns. <paramref name="release"/> is called once, when the last tensor that shares the
    /// memory is freed.
    /// </summary>
    /// <param name="data">Start of the memory.</param>
    /// <param name="shape">Sizes of the dimensions.</param>
    /// <param name="dtype">Element type.</param>
    /// <param name="release">Called when the memory is no longer used; null when it lives as long as the process.</param>
    public static Tensor Over(void* data, ReadOnlySpan<long> shape, DType dtype, Action? release = null)
    {
        Native.Load();
        nint tensor;
        fixed (long* sizes = shape)
        {
            // The native side calls it once, whether the call succeeds or not.
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

    /// <summary>The elements of a contiguous CPU tensor, in place. Valid while the tensor lives.</summary>
    /// <exception cref="InvalidOperationException">Another type, another device, or gaps between elements.</exception>
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
    /// The raw bytes of a contiguous CPU tensor of less than 2 GiB. Valid while the tensor lives. <see cref="WriteTo"/> has no such bound.
    /// </summary>
    /// <exception cref="InvalidOperationException">Another device, gaps between elements, or more bytes than a span has.</exception>
    public ReadOnlySpan<byte> Bytes()
    {
        var (data, length) = Memory();
        return length <= int.MaxValue
            ? new ReadOnlySpan<byte>((void*)data, (int)length)
            : throw new InvalidOperationException($"A tensor of {length} bytes cannot be read at once; write it in pieces.");
    }

    /// <summary>Writes the raw bytes of a contiguous CPU tensor, however many.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="piece">Most bytes that are handed to the stream at once.</param>
    /// <exception cref="InvalidOperationException">Another device, or gaps between elements.</exception>
    public void WriteTo(Stream stream, int piece = 1 << 26)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentOutOfRangeException.ThrowIfLessThan(piece, 1);
        var (data, length) = Memory();
        for (var done = 0L; done < length; done += piece)
            stream.Write(new ReadOnlySpan<byte>((byte*)data + done, (int)Math.Min(piece, length - done)));
    }

    /// <summary>A copy of the elements, converted to <typeparamref name="T"/>, in row-major order.</summary>
    public T[] ToArray<T>()
        where T : unmanaged
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return this.Detach().To(DTypes.Of<T>()).To(Device.Cpu).Contiguous().Span<T>().ToArray();
    }

    /// <summary>The value of a tensor with one element.</summary>
    public double Item()
    {
        if (Count != 1)
            throw new InvalidOperationException($"A tensor of shape [{string.Join(", ", Shape)}] is no single number.");
        return ToArray<double>()[0];
    }

    /// <summary>The same elements in another type; the tensor itself where it has that type.</summary>
    public Tensor To(DType dtype) => DType == dtype ? this : Ops.To(this, dtype, nonBlocking: false, copy: false);

    /// <summary>
    /// The same elements on another device; the tensor itself where it is there. On their way to a GPU they are not waited for
    /// (<see cref="HostTransfer"/>); what comes from one is.
    /// </summary>
    public Tensor To(Device device) => Device == device ? this : HostTransfer.Move(this, device);

    /// <summary>A second handle to the same tensor, with its own owner.</summary>
    public Tensor Share() => new(Native.TensorShare(Handle));

    /// <summary>Takes the tensor out of its scope: from now on the caller disposes it.</summary>
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

    /// <summary>Gives the handle up, to be freed with others in one call; 0 when the tensor was freed already.</summary>
    internal nint Surrender()
    {
        var handle = _handle;
        Scope = null;
        _handle = 0;
        if (handle != 0)
            Interlocked.Decrement(ref s_live);
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
