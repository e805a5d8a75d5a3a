using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// Mixed precision: matrix products and convolutions compute in a narrow type, sensitive operators in float32, until disposed. Scopes nest;
/// the end of one restores the mode around it.
/// </summary>
public sealed unsafe class Autocast : IDisposable
{
    [ThreadStatic]
    private static (Device Device, DType Type)? s_current;

    private readonly (Device Device, DType Type)? _outer;
    private Native.AutocastMode _outerMode;
    private bool _active;

    private Autocast(Device device, DType dtype)
    {
        Native.Load();
        Native.AutocastMode outer;
        var narrow = dtype is DType.BFloat16 or DType.Float16;
        Native.Check(Native.AutocastEnter((int)device.Type, narrow ? 1 : 0, (int)(narrow ? dtype : DType.BFloat16), &outer), "autocast");
        (_outer, _outerMode, _active) = (s_current, outer, true);
        s_current = narrow ? (device, dtype) : null;
    }

    /// <summary>What is in force on this thread.</summary>
    internal static (Device Device, DType Type)? Current => s_current;

    /// <summary>
    /// Computes in <paramref name="dtype"/> on <paramref name="device"/> where that is safe; float32 switches mixed precision off.
    /// </summary>
    public static Autocast Enter(Device device, DType dtype) => new(device, dtype);

    /// <summary>
    /// Switches off what is in force until disposed, for a part that computes in the types of its own weights; null where nothing is.
    /// </summary>
    public static Autocast? Suspend() => s_current is { } mode ? Enter(mode.Device, DType.Float32) : null;

    /// <summary>
    /// Makes what was in force elsewhere hold here until disposed, for a computation that is repeated later, maybe on another thread; null
    /// where it holds already.
    /// </summary>
    internal static Autocast? Resume((Device Device, DType Type)? mode)
    {
        if (s_current == mode)
            return null;
        return mode is { } m ? Enter(m.Device, m.Type) : Suspend();
    }

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
        _active = false;
        s_current = _outer;
        fixed (Native.AutocastMode* outer = &_outerMode)
            Native.Check(Native.AutocastLeave(outer), "autocast");
    }
}
