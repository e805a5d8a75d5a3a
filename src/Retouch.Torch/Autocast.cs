using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>Mixed precision: matrix products and convolutions compute in a narrow type, sensitive operators in float32, until disposed.</summary>
public sealed class Autocast : IDisposable
{
    private readonly Device _device;
    private readonly bool _active;

    private Autocast(Device device, DType dtype, bool active)
    {
        _device = device;
        _active = active;
        if (active && Native.AutocastSet((int)device.Type, 1, (int)dtype) != 0)
            throw TorchException.FromNative("autocast");
    }

    /// <summary>Computes in <paramref name="dtype"/> on <paramref name="device"/> where that is safe; float32 switches nothing on. Scopes do not nest.</summary>
    public static Autocast Enter(Device device, DType dtype) => new(device, dtype, dtype is DType.BFloat16 or DType.Float16);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_active)
            return;
        _ = Native.AutocastSet((int)_device.Type, 0, (int)DType.BFloat16);
        Native.AutocastClearCache();
    }
}
