using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>How float32 is computed on GPUs, for the whole process.</summary>
public static class Arithmetic
{
    /// <summary>
    /// Chooses between exact and fast. On loading both are off: PyTorch lets convolutions use TF32, which keeps 10 bits of each factor.
    /// </summary>
    /// <param name="tf32">Whether products and convolutions of float32 may round their factors to TF32.</param>
    /// <param name="deterministic">
    /// Whether only algorithms may run whose result does not depend on the order of execution; an operator that has none fails.
    /// </param>
    public static void Use(bool tf32, bool deterministic)
    {
        Native.Load();
        Native.Check(Native.ArithmeticSet(tf32 ? 1 : 0, deterministic ? 1 : 0), "arithmetic");
    }
}
