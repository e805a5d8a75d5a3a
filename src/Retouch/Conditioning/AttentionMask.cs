using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>
/// Additive attention masks of text encoders. Masked positions get the dtype's lowest finite value instead of −∞, so that a fully
/// masked row stays finite.
/// </summary>
internal static class AttentionMask
{
    /// <summary>Padding mask: 0 for valid keys, the dtype's lowest value for masked keys.</summary>
    /// <param name="mask">Integers [batch, tokens], 0 for masked keys.</param>
    /// <param name="dtype">Dtype of the attention scores.</param>
    /// <returns>[batch, 1, 1, tokens].</returns>
    public static Tensor OfKeys(Tensor mask, DType dtype)
    {
        using var scope = TensorScope.Enter();
        var dropped = mask.Eq(0).Unsqueeze(1).Unsqueeze(1);
        return scope.Keep(Ops.Zeros(dropped.Shape, dtype: dtype, device: mask.Device).MaskedFill(dropped, Lowest(dtype)));
    }

    /// <summary>Causal mask: the dtype's lowest value for keys after the query.</summary>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="dtype">Dtype of the attention scores.</param>
    /// <param name="device">Device of the attention scores.</param>
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
