using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>Compute type of decoders under mixed precision.</summary>
public static class DecoderPrecision
{
    /// <summary>
    /// Compute type of the decoder: float32 for decoders that overflow in float16. (bfloat16 would be sufficient, but devices used with
    /// float16 usually lack it.)
    /// </summary>
    /// <param name="precision">Compute type of the denoiser.</param>
    /// <param name="overflows">The autoencoder's <c>force_upcast</c>.</param>
    public static DType Of(DType precision, bool overflows) => precision == DType.Float16 && overflows ? DType.Float32 : precision;
}
