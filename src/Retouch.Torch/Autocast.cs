using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// Mixed precision: until disposed, matrix products and convolutions run in a low-precision dtype, sensitive operators in float32.
/// Scopes nest; the end of one restores the enclosing mode.
/// </summary>
public sealed unsafe class Autocast : IDisposable
{
    [ThreadStatic]
    private static (Device Device, DType Type)? _current;

    private readonly (Device Device, DType Type)? _outer;
    private Native.AutocastMode _outerMode;
    private bool _active;

    private Autocast(Device device, DType dtype)
    {
        Native.Load();
        Native.AutocastMode outer;
        var narrow = dtype is DType.BFloat16 or DType.Float16;
        Native.Check(Native.AutocastEnter((int)device.Type, narrow ? 1 : 0, (int)(narrow ? dtype : DType.BFloat16), &outer), "autocast");
        (_outer, _outerMode, _active) = (_current, outer, true);
        _current = narrow ? (device, dtype) : null;
    }

    /// <summary>Active mode of this thread, or null.</summary>
    public static (Device Device, DType Type)? Current => _current;

    /// <summary>
    /// Enables mixed precision in <paramref name="dtype"/> on <paramref name="device"/>; float32 disables it.
    /// </summary>
    public static Autocast Enter(Device device, DType dtype) => new(device, dtype);

    /// <summary>
    /// Disables the active mode until disposed, for networks that compute in the dtype of their weights; null if none is active.
    /// </summary>
    public static Autocast? Suspend() => _current is { } mode ? Enter(mode.Device, DType.Float32) : null;

    /// <summary>
    /// Activates a mode until disposed, for a computation that is repeated later, possibly on another thread; null if it is already
    /// active.
    /// </summary>
    internal static Autocast? Resume((Device Device, DType Type)? mode)
    {
        if (_current == mode)
            return null;
        return mode is { } m ? Enter(m.Device, m.Type) : Suspend();
    }

    /// <summary>
    /// Clears cached low-precision copies of weights. Copies made without recording have no gradient, and libtorch would reuse them in
    /// a later, recorded computation.
    /// </summary>
    internal static void ForgetCopies()
    {
        if (_current is not null)
            Native.AutocastClearCache();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_active)
            return;
        _active = false;
        _current = _outer;
        fixed (Native.AutocastMode* outer = &_outerMode)
            Native.Check(Native.AutocastLeave(outer), "autocast");
    }
}
