using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// Mixed precision: matrix products and convolutions compute in a narrow type, sensitive operators in float32, until disposed.
/// </summary>
public sealed class Autocast : IDisposable
{
    [ThreadStatic]
    private static (Device Device, DType Type)? s_current;

    private readonly Device _device;
    private readonly bool _active;

    private Autocast(Device device, DType dtype, bool active)
    {
        _device = device;
        _active = active;
        if (!active)
            return;
        if (Native.AutocastSet((int)device.Type, 1, (int)dtype) != 0)
            throw TorchException.FromNative("autocast");
        s_current = (device, dtype);
    }

    /// <summary>What is in force on this thread.</summary>
    internal static (Device Device, DType Type)? Current => s_current;

    /// <summary>
    /// Computes in <paramref name="dtype"/> on <paramref name="device"/> where that is safe; float32 switches nothing on. Scopes do not
    /// nest.
    /// </summary>
    public static Autocast Enter(Device device, DType dtype) => new(device, dtype, dtype is DType.BFloat16 or DType.Float16);

    /// <summary>
    /// Makes what was in force elsewhere hold here until disposed, for a computation that is repeated later, maybe on another thread; null
    /// where it holds already.
    /// </summary>
    internal static Autocast? Resume((Device Device, DType Type)? mode) =>
        mode is { } m && s_current != mode ? Enter(m.Device, m.Type) : null;

    /// <summary>
    /// Forgets narrow copies of weights. Copies made without recording carry no gradient, and libtorch would hand them to a later, recorded
    /// computation.
    /// </summary>
    internal static void ForgetCopies()
    {
        if (s_current is not null)
            Native.AutocastClearCache();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_active)
            return;
        s_current = null;
        _ = Native.AutocastSet((int)_device.Type, 0, (int)DType.BFloat16);
        Native.AutocastClearCache();
    }
}
