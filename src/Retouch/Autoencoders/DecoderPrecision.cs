using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>Compute type of decoders under mixed precision.</summary>
public static class DecoderPrecision
{
    /// <summary>
    /// Compute type of the decoder: float32 for decoders that overflow in float16, as in diffusers. bfloat16 has float32's range, so such
    /// decoders compute in it.
    /// </summary>
    /// <param name="precision">Compute type of the denoiser.</param>
    /// <param name="overflows">The autoencoder's <c>force_upcast</c>.</param>
    public static DType Of(DType precision, bool overflows) => precision == DType.Float16 && overflows ? DType.Float32 : precision;

    /// <summary>
    /// Disables autocast in float16 for a network that overflows in it, until disposed; null if nothing has to be disabled.
    /// </summary>
    /// <param name="overflows">The autoencoder's <c>force_upcast</c>.</param>
    internal static Autocast? Guard(bool overflows) => overflows && Autocast.Current?.Type == DType.Float16 ? Autocast.Suspend() : null;
}
