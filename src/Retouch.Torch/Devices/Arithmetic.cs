using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>Process-wide float32 arithmetic of GPUs.</summary>
public static class Arithmetic
{
    /// <summary>
    /// Selects TF32 and determinism. Both are off after loading; PyTorch's default enables TF32, with 10 mantissa bits, for
    /// convolutions.
    /// </summary>
    /// <param name="tf32">Whether float32 matrix products and convolutions can round their factors to TF32.</param>
    /// <param name="deterministic">
    /// Whether to use deterministic algorithms only; operators without one fail.
    /// </param>
    public static void Use(bool tf32, bool deterministic)
    {
        Native.Load();
        Native.Check(Native.ArithmeticSet(tf32 ? 1 : 0, deterministic ? 1 : 0), "arithmetic");
    }
}
