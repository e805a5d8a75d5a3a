using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.T5;

/// <summary>
/// T5 encoder block: attention and feed-forward network, each with pre-normalisation and a residual connection, without biases.
/// </summary>
internal sealed class T5Block
{
    private readonly T5Config _config;
    private readonly Linear _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _output;
    private readonly T5Norm _norm1;
    private readonly Linear _expand;
    private readonly Linear? _linear;
    private readonly Linear _contract;
    private readonly T5Norm _norm2;

    public T5Block(ParameterPath path, T5Config config)
    {
        _config = config;
        var (width, inner) = (config.DModel, config.NumHeads * config.DKv);
        var (attention, feed) = (path / "layer" / 0 / "SelfAttention", path / "layer" / 1 / "DenseReluDense");
        var spread = Inits.Normal(1 / Math.Sqrt(width));
        _query = new Linear(attention / "q", width, inner, bias: false, Inits.Normal(1 / Math.Sqrt((double)width * config.DKv)));
        _key = new Linear(attention / "k", width, inner, bias: false, spread);
        _value = new Linear(attention / "v", width, inner, bias: false, spread);
        _output = new Linear(attention / "o", inner, width, bias: false, Inits.Normal(1 / Math.Sqrt(inner)));
        _norm1 = new T5Norm(path / "layer" / 0 / "layer_norm", width, config.LayerNormEpsilon);
        _expand = new Linear(feed / (config.IsGated ? "wi_0" : "wi"), width, config.DFf, bias: false, spread);
        _linear = config.IsGated ? new Linear(feed / "wi_1", width, config.DFf, bias: false, spread) : null;
        _contract = new Linear(feed / "wo", config.DFf, width, bias: false, Inits.Normal(1 / Math.Sqrt(config.DFf)));
        _norm2 = new T5Norm(path / "layer" / 1 / "layer_norm", width, config.LayerNormEpsilon);
    }

    /// <summary>[batch, tokens, width], same shape.</summary>
    /// <param name="x">Tokens.</param>
    /// <param name="bias">Added to the attention scores: [1 or batch, heads, tokens, tokens].</param>
    public Tensor Forward(Tensor x, Tensor bias)
    {
        using var scope = TensorScope.Enter();
        var attended = x + Attend(_norm1.Forward(x), bias);
        return scope.Keep(attended + FeedForward(_norm2.Forward(attended)));
    }

    private Tensor Attend(Tensor x, Tensor bias)
    {
        // T5 has no factor 1/√d; its initialisation compensates.
        var scores = Heads(_query.Forward(x)).Matmul(Heads(_key.Forward(x)).Transpose(-2, -1)) + bias;
        var weights = scores.To(DType.Float32).Softmax(-1).To(x.DType);
        return _output.Forward(weights.Matmul(Heads(_value.Forward(x))).Transpose(1, 2).Flatten(2));
    }

    private Tensor FeedForward(Tensor x) =>
        _contract.Forward(_linear is null ? _expand.Forward(x).Relu() : _expand.Forward(x).Gelu("tanh") * _linear.Forward(x));

    /// <summary>Splits [batch, tokens, heads·d] into [batch, heads, tokens, d].</summary>
    private Tensor Heads(Tensor x) => x.View([x.Shape[0], x.Shape[1], _config.NumHeads, _config.DKv]).Transpose(1, 2);
}

/// <summary>RMS normalisation (Zhang and Sennrich 2019) with a learned scale. Key: <c>weight</c> [C].</summary>
internal sealed class T5Norm(ParameterPath path, long channels, double eps)
{
    private readonly Parameter _weight = path.Parameter("weight", [channels], Inits.Ones);

    /// <summary>[…, C], same shape; the mean square is computed in float32, the result has the dtype of the weight.</summary>
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var full = x.DType == DType.Float64 ? x : x.To(DType.Float32);
        var scale = (full.Square().Mean([-1], true) + eps).Rsqrt();
        return scope.Keep((full * scale).To(_weight.Value.DType) * _weight.Value);
    }
}
