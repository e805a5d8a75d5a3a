using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Attention of a transformer block, of tokens to each other or to a context. Keys: <c>to_q</c>, <c>to_k</c>, <c>to_v</c>, <c>to_out.0</c>
/// (weight, bias), and <c>norm_q.weight</c>, <c>norm_k.weight</c> where queries and keys are normalised.
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

    /// <param name="path">Where it stands.</param>
    /// <param name="heads">Attention heads.</param>
    /// <param name="headDim">Channels of a head; heads times this is the width of a token.</param>
    /// <param name="bias">Whether query, key and value have biases.</param>
    /// <param name="upcast">Whether the product is computed in float32 whatever the weights' type.</param>
    /// <param name="normEps">Added to the mean square where queries and keys of each head are normalised; null where they are not.</param>
    /// <param name="outputInit">Start of the output layer's weight; as the others by default.</param>
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

    /// <summary>A linear layer as transformers start them: Xavier-uniform weight, zero bias.</summary>
    public static Linear Projection(ParameterPath path, long inputs, long outputs, bool bias = true, Init? weightInit = null) =>
        new(path, inputs, outputs, bias, weightInit ?? Inits.XavierUniform(inputs, outputs), Inits.Zeros);

    /// <summary>[batch, tokens, width] to [batch, heads, tokens, width/heads], normalised where there is a norm.</summary>
    public static Tensor Heads(Tensor x, int heads, RmsNorm? norm = null)
    {
        var split = x.View([x.Shape[0], x.Shape[1], heads, x.Shape[2] / heads]);
        return (norm is null ? split : norm.Forward(split)).Transpose(1, 2);
    }

    /// <summary>[batch, heads, tokens, width/heads] to [batch, tokens, width].</summary>
    public static Tensor Merge(Tensor x) => x.Transpose(1, 2).Flatten(2);

    /// <summary>Tokens [batch, tokens, width] to the same shape.</summary>
    /// <param name="x">What asks.</param>
    /// <param name="context">What is asked, [batch, sources, width]; the tokens themselves where null.</param>
    /// <param name="mask">Added to the scores; broadcast to [batch, heads, tokens, sources].</param>
    public Tensor Forward(Tensor x, Tensor? context = null, Tensor? mask = null)
    {
        using var scope = TensorScope.Enter();
        var source = context ?? x;
        var query = Heads(_query.Forward(x), _heads, _queryNorm);
        var (key, value) = (Heads(_key.Forward(source), _heads, _keyNorm), Heads(_value.Forward(source), _heads));
        var mixed = _upcast
            ? Attention
                .ScaledDotProduct(query.To(DType.Float32), key.To(DType.Float32), value.To(DType.Float32), mask?.To(DType.Float32))
                .To(query.DType)
            : Attention.ScaledDotProduct(query, key, value, mask);
        return scope.Keep(_output.Forward(Merge(mixed)));
    }
}
