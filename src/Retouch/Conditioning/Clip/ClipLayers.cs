using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.Clip;

/// <summary>Layer configuration of a CLIP encoder.</summary>
/// <param name="Layers">Number of layers.</param>
/// <param name="Width">Token width.</param>
/// <param name="Inner">Hidden width of the feed-forward network.</param>
/// <param name="Heads">Number of attention heads.</param>
/// <param name="Activation">Activation, by transformers' name.</param>
/// <param name="NormEps">ε of the layer normalisations.</param>
internal sealed record ClipLayerShape(int Layers, int Width, int Inner, int Heads, string Activation, double NormEps)
{
    /// <summary>Supported activations, by transformers' names.</summary>
    public static readonly string[] Activations = ["quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh"];

    /// <summary>Initialisation of the residual projections, scaled down with depth (Radford et al. 2021, section 2.4).</summary>
    public Init ResidualInit => Inits.Normal(1 / Math.Sqrt(2.0 * Layers * Width));

    /// <summary>Validates the number of heads.</summary>
    /// <exception cref="InputException">The width is not divisible by the heads.</exception>
    public static void Validate(int width, int heads, string origin)
    {
        if (width % heads != 0)
            throw new InputException($"'{origin}': hidden_size {width} is not divisible by num_attention_heads {heads}.");
    }

    /// <summary>Applies the activation.</summary>
    public Tensor Activate(Tensor x) =>
        Activation switch
        {
            // Hendrycks and Gimpel 2016, section 2: the sigmoid approximation.
            "quick_gelu" => x * (x * 1.702).Sigmoid(),
            "gelu" => x.Gelu("none"),
            _ => x.Gelu("tanh"),
        };
}

/// <summary>
/// Transformer layers of CLIP (Radford et al. 2021): attention and feed-forward network with pre-normalisation and residual
/// connections.
/// </summary>
internal sealed class ClipEncoder
{
    private readonly ParameterPath _states;
    private readonly ClipLayer[] _layers;

    /// <param name="path">Path of the layers.</param>
    /// <param name="states">Path under which the hidden states are observed.</param>
    /// <param name="shape">Layer configuration.</param>
    public ClipEncoder(ParameterPath path, ParameterPath states, ClipLayerShape shape)
    {
        _states = states;
        _layers = [.. Enumerable.Range(0, shape.Layers).Select(k => new ClipLayer(path / "layers" / k, shape))];
    }

    /// <summary>Runs all layers.</summary>
    /// <param name="x">[batch, tokens, width]; disposed after the first layer unless kept.</param>
    /// <param name="mask">Added to the attention scores, or null.</param>
    /// <param name="keep">Index of a hidden state to return as well, 0 for the input; null for none.</param>
    /// <returns>Output of the last layer, and the kept hidden state.</returns>
    public (Tensor Last, Tensor? Kept) Forward(Tensor x, Tensor? mask, int? keep)
    {
        Tensor? kept = null;
        for (var k = 0; ; k++)
        {
            (_states / k).Observe(x);
            if (k == keep)
                kept = x;
            if (k == _layers.Length)
                return (x, kept);
            var next = _layers[k].Forward(x, mask);
            // Releases the handle only; autograd keeps what the backward pass needs.
            if (!ReferenceEquals(x, kept))
                x.Dispose();
            x = next;
        }
    }
}

/// <summary>A transformer layer.</summary>
internal sealed class ClipLayer
{
    private readonly ClipLayerShape _shape;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _query;
    private readonly Linear _output;
    private readonly LayerNorm _norm1;
    private readonly Linear _expand;
    private readonly Linear _contract;
    private readonly LayerNorm _norm2;

    public ClipLayer(ParameterPath path, ClipLayerShape shape)
    {
        _shape = shape;
        var (width, attention) = (shape.Width, path / "self_attn");
        var wide = Inits.Normal(1 / Math.Sqrt(width));
        _key = new Linear(attention / "k_proj", width, width, true, shape.ResidualInit, Inits.Zeros);
        _value = new Linear(attention / "v_proj", width, width, true, shape.ResidualInit, Inits.Zeros);
        _query = new Linear(attention / "q_proj", width, width, true, shape.ResidualInit, Inits.Zeros);
        _output = new Linear(attention / "out_proj", width, width, true, wide, Inits.Zeros);
        _norm1 = new LayerNorm(path / "layer_norm1", width, shape.NormEps);
        _expand = new Linear(path / "mlp" / "fc1", width, shape.Inner, true, Inits.Normal(1 / Math.Sqrt(2.0 * width)), Inits.Zeros);
        _contract = new Linear(path / "mlp" / "fc2", shape.Inner, width, true, shape.ResidualInit, Inits.Zeros);
        _norm2 = new LayerNorm(path / "layer_norm2", width, shape.NormEps);
    }

    /// <summary>[batch, tokens, width], same shape.</summary>
    public Tensor Forward(Tensor x, Tensor? mask)
    {
        using var scope = TensorScope.Enter();
        var normed = _norm1.Forward(x);
        var mixed = Attention.ScaledDotProduct(
            Heads(_query.Forward(normed)),
            Heads(_key.Forward(normed)),
            Heads(_value.Forward(normed)),
            mask
        );
        var attended = x + _output.Forward(mixed.Transpose(1, 2).Flatten(2));
        return scope.Keep(attended + _contract.Forward(_shape.Activate(_expand.Forward(_norm2.Forward(attended)))));
    }

    /// <summary>Splits [batch, tokens, width] into [batch, heads, tokens, width/heads].</summary>
    private Tensor Heads(Tensor x) => x.View([x.Shape[0], x.Shape[1], _shape.Heads, _shape.Width / _shape.Heads]).Transpose(1, 2);
}
