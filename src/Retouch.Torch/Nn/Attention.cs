namespace Retouch.Torch.Nn;

/// <summary>The attention product, by libtorch's fused operator where it has one.</summary>
public static class Attention
{
    private static readonly Lazy<bool> Fused = new(static () => TorchRuntime.HasOperator("aten::scaled_dot_product_attention"));

    /// <summary>softmax(q·kᵀ/√d + mask)·v.</summary>
    /// <param name="query">[batch, heads, tokens, d].</param>
    /// <param name="key">[batch, heads, sources, d].</param>
    /// <param name="value">[batch, heads, sources, d].</param>
    /// <param name="mask">Added to the scores; broadcast to [batch, heads, tokens, sources].</param>
    /// <returns>[batch, heads, tokens, d].</returns>
    public static Tensor ScaledDotProduct(Tensor query, Tensor key, Tensor value, Tensor? mask = null)
    {
        if (Fused.Value)
            return Ops.ScaledDotProductAttention(query, key, value, mask);
        // Scaling the smaller operand is cheaper than scaling the scores.
        var scores = (query * (1 / Math.Sqrt(query.Shape[^1]))).Matmul(key.Transpose(-2, -1));
        if (mask is not null)
            scores = scores + mask;
        return scores.Softmax(-1).Matmul(value);
    }
}
