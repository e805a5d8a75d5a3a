using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>
/// Masks as text encoders add them to attention scores. What is masked gets the type's lowest number rather than −∞, so that a row without
/// any key stays finite.
/// </summary>
internal static class AttentionMask
{
    /// <summary>0 where a key counts, the type's lowest number where it does not.</summary>
    /// <param name="mask">Integers [batch, tokens]: 0 for what does not count.</param>
    /// <param name="dtype">Type of the scores.</param>
    /// <returns>[batch, 1, 1, tokens].</returns>
    public static Tensor OfKeys(Tensor mask, DType dtype)
    {
        using var scope = TensorScope.Enter();
        var dropped = mask.Eq(0).Unsqueeze(1).Unsqueeze(1);
        return scope.Keep(Ops.Zeros(dropped.Shape, dtype: dtype, device: mask.Device).MaskedFill(dropped, Lowest(dtype)));
    }

    /// <summary>The type's lowest number for every key after the token that looks.</summary>
    /// <param name="tokens">Tokens.</param>
    /// <param name="dtype">Type of the scores.</param>
    /// <param name="device">Where the scores are.</param>
    /// <returns>[tokens, tokens].</returns>
    public static Tensor Causal(long tokens, DType dtype, Device device)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.Full([tokens, tokens], Lowest(dtype), dtype: dtype, device: device).Triu(1));
    }

    private static double Lowest(DType dtype) =>
        dtype switch
        {
            DType.Float16 => -65504,
            DType.BFloat16 => -3.3895313892515355e38,
            DType.Float64 => double.MinValue,
            _ => float.MinValue,
        };
}
