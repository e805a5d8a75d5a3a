using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.Clip;

/// <summary>What all layers of a tower have in common.</summary>
/// <param name="Layers">Their number.</param>
/// <param name="Width">Width of a token.</param>
/// <param name="Inner">Width within the feed-forward network.</param>
/// <param name="Heads">Attention heads.</param>
/// <param name="Activation">transformers' name of the nonlinearity.</param>
/// <param name="NormEps">Added to the variance.</param>
internal sealed record ClipLayerShape(int Layers, int Width, int Inner, int Heads, string Activation, double NormEps)
{
    /// <summary>Start of what feeds a residual sum: smaller the more layers add to it (Radford et al. 2021, section 2.4).</summary>
    public Init ResidualInit => Inits.Normal(1 / Math.Sqrt(2.0 * Layers * Width));

    /// <summary>Checks heads and nonlinearity.</summary>
    /// <exception cref="InputException">They are not supported.</exception>
    public static void Validate(int width, int heads, string activation, string origin)
    {
        if (width % heads != 0)
            throw new InputException($"'{origin}': hidden_size {width} cannot be split into num_attention_heads {heads}.");
        if (activation is not ("quick_gelu" or "gelu" or "gelu_new" or "gelu_pytorch_tanh"))
            throw new InputException($"'{origin}': hidden_act is '{activation}'; quick_gelu, gelu and gelu_new are supported.");
    }

    /// <summary>The nonlinearity.</summary>
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
/// The layers of a tower (Radford et al. 2021): normalisation, attention, normalisation, feed-forward, each pair in a residual branch.
/// </summary>
internal sealed class ClipEncoder
{
    private readonly ParameterPath _states;
    private readonly ClipLayer[] _layers;

    /// <param name="path">Where the layers stand.</param>
    /// <param name="states">Where their outputs are shown.</param>
    /// <param name="shape">What they look like.</param>
    public ClipEncoder(ParameterPath path, ParameterPath states, ClipLayerShape shape)
    {
        _states = states;
        _layers = [.. Enumerable.Range(0, shape.Layers).Select(k => new ClipLayer(path / "layers" / k, shape))];
    }

    /// <summary>Runs all layers.</summary>
    /// <param name="x">[batch, tokens, width]; freed as soon as the first layer has run.</param>
    /// <param name="mask">Added to the scores, or null.</param>
    /// <param name="keep">Which output is handed out as well, counted from the input as 0; null for none.</param>
    /// <returns>The last layer's output, and the one to keep.</returns>
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
            // Only the graph, where there is one, still needs what a layer was given.
            if (!ReferenceEquals(x, kept))
                x.Dispose();
            x = next;
        }
    }
}

/// <summary>One layer.</summary>
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

    /// <summary>[batch, tokens, width] to the same shape.</summary>
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

    /// <summary>[batch, tokens, width] to [batch, heads, tokens, width/heads].</summary>
    private Tensor Heads(Tensor x) => x.View([x.Shape[0], x.Shape[1], _shape.Heads, _shape.Width / _shape.Heads]).Transpose(1, 2);
}
