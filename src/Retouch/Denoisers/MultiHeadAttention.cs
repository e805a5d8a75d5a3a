using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Multi-head self- or cross-attention of a transformer block. Keys: <c>to_q</c>, <c>to_k</c>, <c>to_v</c>, <c>to_out.0</c> (weight,
/// bias), and <c>norm_q.weight</c>, <c>norm_k.weight</c> with query and key normalisation.
/// </summary>
internal sealed class MultiHeadAttention
{
    private readonly Linear _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _output;
    private readonly RmsNorm? _queryNorm;
    private readonly RmsNorm? _keyNorm;
    private readonly int _heads;
    private readonly bool _upcast;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="headDim">Channels per head; heads times this is the token width.</param>
    /// <param name="bias">Whether query, key and value have biases.</param>
    /// <param name="upcast">Whether to compute attention in float32, whatever the weights' dtype, and under autocast.</param>
    /// <param name="normEps">ε of the per-head RMS normalisation of queries and keys; null for none.</param>
    /// <param name="outputInit">Initialisation of the output weight; null for Xavier uniform.</param>
    public MultiHeadAttention(
        ParameterPath path,
        int heads,
        int headDim,
        bool bias = true,
        bool upcast = false,
        double? normEps = null,
        Init? outputInit = null
    )
    {
        (_heads, _upcast) = (heads, upcast);
        var width = (long)heads * headDim;
        _query = Projection(path / "to_q", width, width, bias);
        _key = Projection(path / "to_k", width, width, bias);
        _value = Projection(path / "to_v", width, width, bias);
        _output = Projection(path / "to_out" / 0, width, width, bias: true, outputInit);
        _queryNorm = normEps is { } q ? new RmsNorm(path / "norm_q", headDim, q) : null;
        _keyNorm = normEps is { } k ? new RmsNorm(path / "norm_k", headDim, k) : null;
    }

    /// <summary>A linear layer with Xavier-uniform weight and zero bias, the usual transformer initialisation.</summary>
    public static Linear Projection(ParameterPath path, long inputs, long outputs, bool bias = true, Init? weightInit = null) =>
        new(path, inputs, outputs, bias, weightInit ?? Inits.XavierUniform(inputs, outputs), Inits.Zeros);

    /// <summary>Splits [batch, tokens, width] into [batch, heads, tokens, width/heads] and applies the norm, if any.</summary>
    public static Tensor Heads(Tensor x, int heads, RmsNorm? norm = null)
    {
        var split = x.View([x.Shape[0], x.Shape[1], heads, x.Shape[2] / heads]);
        return (norm is null ? split : norm.Forward(split)).Transpose(1, 2);
    }

    /// <summary>Merges [batch, heads, tokens, width/heads] into [batch, tokens, width].</summary>
    public static Tensor Merge(Tensor x) => x.Transpose(1, 2).Flatten(2);

    /// <summary>Attention output [batch, tokens, width].</summary>
    /// <param name="x">Query tokens [batch, tokens, width].</param>
    /// <param name="context">Key and value tokens [batch, sources, width]; null for self-attention.</param>
    /// <param name="mask">Added to the attention scores; broadcast to [batch, heads, tokens, sources].</param>
    public Tensor Forward(Tensor x, Tensor? context = null, Tensor? mask = null)
    {
        using var scope = TensorScope.Enter();
        var source = context ?? x;
        var query = Heads(_query.Forward(x), _heads, _queryNorm);
        var (key, value) = (Heads(_key.Forward(source), _heads, _keyNorm), Heads(_value.Forward(source), _heads));
        var mixed = _upcast
            ? Attention.ScaledDotProductWide(query, key, value, mask).To(query.DType)
            : Attention.ScaledDotProduct(query, key, value, mask);
        return scope.Keep(_output.Forward(Merge(mixed)));
    }
}
