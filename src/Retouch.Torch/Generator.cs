using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>Random number generator. Always passed explicitly; no operator uses a global one.</summary>
public sealed unsafe class Generator : IDisposable
{
    private nint _handle;

    private Generator(nint handle, Device device)
    {
        _handle = handle;
        Device = device;
    }

    /// <summary>Device of the generator.</summary>
    public Device Device { get; }

    internal nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(Generator));

    /// <summary>
    /// Creates a generator whose stream depends only on <paramref name="seed"/> and the device type. For numbers that must be equal on
    /// all devices, draw on the CPU.
    /// </summary>
    public static Generator Create(Device device, ulong seed)
    {
        Native.Load();
        nint handle;
        Native.Check(Native.GeneratorNew((int)device.Type, device.NativeIndex, seed, &handle), "generator");
        return new Generator(handle, device);
    }

    /// <summary>Restarts the stream with another seed.</summary>
    public void Reseed(ulong seed)
    {
        Native.Check(Native.GeneratorSetSeed(Handle, seed), "generator");
    }

    /// <summary>State as a uint8 tensor, for checkpoints.</summary>
    public Tensor GetState()
    {
        nint tensor;
        Native.Check(Native.GeneratorGetState(Handle, &tensor), "generator");
        return new Tensor(tensor);
    }

    /// <summary>Restores a state from <see cref="GetState"/>.</summary>
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
