namespace Retouch.Torch.Nn;

/// <summary>Scaled dot-product attention, by libtorch's fused operator if available.</summary>
public static class Attention
{
    /// <summary>Bytes of the score matrix per part, if computed in parts.</summary>
    internal const long PartBytes = 16 << 20;

    // Below these sizes, recomputation in the backward pass costs more time than the memory is worth.
    private const long LargeBytes = 32 << 20;
    private const long LargeRecordedBytes = 256 << 20;

    private static readonly Lazy<bool> Fused = new(static () => TorchRuntime.HasOperator("aten::scaled_dot_product_attention"));

    /// <summary>
    /// softmax(q·kᵀ/√d + mask)·v. Without the fused operator, a large score matrix is computed in parts, which are recomputed in the
    /// backward pass instead of stored.
    /// </summary>
    /// <param name="query">[batch, heads, tokens, d].</param>
    /// <param name="key">[batch, heads, sources, d].</param>
    /// <param name="value">[batch, heads, sources, d].</param>
    /// <param name="mask">Added to the scores; broadcast to [batch, heads, tokens, sources].</param>
    /// <returns>[batch, heads, tokens, d].</returns>
    public static Tensor ScaledDotProduct(Tensor query, Tensor key, Tensor value, Tensor? mask = null)
    {
        if (Fused.Value)
            return Ops.ScaledDotProductAttention(query, key, value, mask);
        var recorded = Autograd.IsEnabled && (query.RequiresGrad || key.RequiresGrad || value.RequiresGrad);
        return
            RowBytes(key) * query.Shape[0] * query.Shape[1] * query.Shape[2] > (recorded ? LargeRecordedBytes : LargeBytes)
            && mask is null or { RequiresGrad: false }
            ? InParts(query, key, value, mask, PartBytes)
            : AtOnce(query, key, value, mask);
    }

    /// <summary>
    /// <see cref="ScaledDotProduct"/> in float32, under autocast too (<c>upcast_attention</c> of diffusers): for networks whose scores
    /// overflow or lose their differences in a narrower type.
    /// </summary>
    /// <returns>[batch, heads, tokens, d] in float32.</returns>
    public static Tensor ScaledDotProductWide(Tensor query, Tensor key, Tensor value, Tensor? mask = null)
    {
        using var scope = TensorScope.Enter();
        using var off = Autocast.Suspend();
        static Tensor Wide(Tensor x) => x.To(DType.Float32);
        return scope.Keep(ScaledDotProduct(Wide(query), Wide(key), Wide(value), mask is null ? null : Wide(mask)));
    }

    /// <summary>Whether score matrices of a given size (batch and heads combined) are stored for the backward pass.</summary>
    public static bool KeepsScores(double bytes) => !Fused.Value && bytes <= LargeRecordedBytes;

    /// <summary>Computes the whole score matrix.</summary>
    internal static Tensor AtOnce(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        // Scaling the smaller operand is cheaper than scaling the scores.
        var scores = (query * (1 / Math.Sqrt(query.Shape[^1]))).Matmul(key.Transpose(-2, -1));
        if (mask is not null)
            scores = scores + mask;
        return scores.Softmax(-1).Matmul(value);
    }

    /// <summary>
    /// Computes the score matrix in parts: some heads of a sample, or some tokens of a head. Rows are independent of each other.
    /// </summary>
    /// <param name="query">See <see cref="ScaledDotProduct"/>.</param>
    /// <param name="key">See <see cref="ScaledDotProduct"/>.</param>
    /// <param name="value">See <see cref="ScaledDotProduct"/>.</param>
    /// <param name="mask">See <see cref="ScaledDotProduct"/>; receives no gradient.</param>
    /// <param name="bytes">Approximate size of a part in bytes; at least one row.</param>
    internal static Tensor InParts(Tensor query, Tensor key, Tensor value, Tensor? mask, long bytes)
    {
        using var scope = TensorScope.Enter();
        var (samples, heads, tokens) = (query.Shape[0], query.Shape[1], query.Shape[2]);
        var rows = Math.Max(1, bytes / RowBytes(key));
        var (headStep, tokenStep) = (Math.Clamp(rows / tokens, 1, heads), Math.Min(rows, tokens));
        while (mask?.Shape.Length < 4)
            mask = mask.Unsqueeze(0);
        var bySample = new List<Tensor>();
        for (var s = 0L; s < samples; s++)
        {
            var byHead = new List<Tensor>();
            for (var h = 0L; h < heads; h += headStep)
            {
                var group = Math.Min(headStep, heads - h);
                var (k, v) = (Of(key, s, h, group), Of(value, s, h, group));
                var (q, m) = (Of(query, s, h, group), mask is null ? null : Of(mask, s, h, group));
                var byToken = new List<Tensor>();
                for (var t = 0L; t < tokens; t += tokenStep)
                {
                    var length = Math.Min(tokenStep, tokens - t);
                    byToken.Add(Part(q.Narrow(2, t, length), k, v, m is null || m.Shape[2] == 1 ? m : m.Narrow(2, t, length)));
                }

                byHead.Add(Joined(byToken, 2));
            }

            bySample.Add(Joined(byHead, 1));
        }

        return scope.Keep(Joined(bySample, 0));
    }

    private static Tensor Part(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        using var scope = TensorScope.Enter();
        // The mask receives no gradient, but must outlive this scope.
        Tensor[] inputs = mask is null ? [query, key, value] : [query, key, value, mask];
        return scope.Keep(Autograd.Checkpoint(static x => [AtOnce(x[0], x[1], x[2], x.Count > 3 ? x[3] : null)], inputs, [])[0]);
    }

    private static Tensor Of(Tensor x, long sample, long head, long heads)
    {
        var one = x.Shape[0] == 1 ? x : x.Narrow(0, sample, 1);
        return x.Shape[1] == 1 ? one : one.Narrow(1, head, heads);
    }

    private static Tensor Joined(List<Tensor> parts, long dim) => parts.Count == 1 ? parts[0] : Ops.Cat([.. parts], dim);

    private static long RowBytes(Tensor key) => key.Shape[2] * key.DType.Size();
}
