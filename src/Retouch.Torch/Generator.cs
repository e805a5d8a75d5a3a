using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>A source of random numbers. It is always passed; no operator draws from a hidden one.</summary>
public sealed unsafe class Generator : IDisposable
{
    private nint _handle;

    private Generator(nint handle, Device device)
    {
        _handle = handle;
        Device = device;
    }

    /// <summary>The device it draws on.</summary>
    public Device Device { get; }

    internal nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(Generator));

    /// <summary>
    /// A generator whose stream depends on <paramref name="seed"/> alone. Streams differ between devices: draw on the CPU what must be the
    /// same everywhere.
    /// </summary>
    public static Generator Create(Device device, ulong seed)
    {
        Native.Load();
        nint handle;
        Native.Check(Native.GeneratorNew((int)device.Type, device.NativeIndex, seed, &handle), "generator");
        return new Generator(handle, device);
    }

    /// <summary>Starts the stream of another seed.</summary>
    public void Reseed(ulong seed)
    {
        Native.Check(Native.GeneratorSetSeed(Handle, seed), "generator");
    }

    /// <summary>The state as a uint8 tensor, for checkpoints.</summary>
    public Tensor GetState()
    {
        nint tensor;
        Native.Check(Native.GeneratorGetState(Handle, &tensor), "generator");
        return new Tensor(tensor);
    }

    /// <summary>Continues where <see cref="GetState"/> was taken.</summary>
    public void SetState(Tensor state)
    {
        Native.Check(Native.GeneratorSetState(Handle, state.Handle), "generator");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
            Native.GeneratorFree(_handle);
        _handle = 0;
    }
}
