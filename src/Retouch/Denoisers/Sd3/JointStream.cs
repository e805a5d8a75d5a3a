using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>The weights that one of the two streams of a joint block has to itself.</summary>
internal sealed class JointStream
{
    public const double NormEps = 1e-6;

    private readonly LayerNorm _norm;
    private readonly ModulationSource _modulation;
    private readonly Linear? _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear? _output;
    private readonly RmsNorm? _queryNorm;
    private readonly RmsNorm? _keyNorm;
    private readonly GeluFeedForward? _feedForward;
    private readonly int _heads;
    private readonly bool _endsHere;

    private JointStream(ParameterPath path, JointShape shape, Names names, int modulations, bool endsHere)
    {
        var width = shape.Width;
        (_heads, _endsHere) = (shape.Heads, endsHere);
        _norm = new LayerNorm(path / names.Norm / "norm", width, NormEps, affine: false);
        _modulation = new ModulationSource(path / names.Norm, width, modulations, shape.SharedStreams);
        var attention = path / "attn";
        _query = MultiHeadAttention.Projection(attention / names.Query, width, width);
        _key = MultiHeadAttention.Projection(attention / names.Key, width, width);
        _value = MultiHeadAttention.Projection(attention / names.Value, width, width);
        if (shape.NormaliseHeads)
        {
            _queryNorm = new RmsNorm(attention / names.QueryNorm, shape.HeadDim, NormEps);
            _keyNorm = new RmsNorm(attention / names.KeyNorm, shape.HeadDim, NormEps);
        }

        if (endsHere)
            return;
        _output = MultiHeadAttention.Projection(names.OutputInList ? attention / names.Output / 0 : attention / names.Output, width, width);
        _feedForward = new GeluFeedForward(path / names.FeedForward, width);
    }

    /// <summary>The image's.</summary>
    /// <param name="path">The block's.</param>
    /// <param name="shape">The network's.</param>
    /// <param name="dual">Whether a second attention is modulated too: nine modulations instead of six.</param>
    public static JointStream Image(ParameterPath path, JointShape shape, bool dual) =>
        new(
            path,
            shape,
            new Names("norm1", "to_q", "to_k", "to_v", "to_out", true, "norm_q", "norm_k", "ff"),
            dual ? 9 : 6,
            endsHere: false
        );

    /// <summary>The context's.</summary>
    /// <param name="path">The block's.</param>
    /// <param name="shape">The network's.</param>
    /// <param name="last">Whether nothing follows that would look at it: it gives keys and values, and ends.</param>
    public static JointStream Context(ParameterPath path, JointShape shape, bool last) =>
        new(
            path,
            shape,
            new Names(
                "norm1_context",
                "add_q_proj",
                "add_k_proj",
                "add_v_proj",
                "to_add_out",
                false,
                "norm_added_q",
                "norm_added_k",
                "ff_context"
            ),
            last ? 2 : 6,
            endsHere: last
        );

    /// <summary>
    /// Shift, scale, gate of the attention, the same of the feed-forward network, the same of a second attention; each [batch, 1, width].
    /// </summary>
    /// <param name="embedding">[batch, width].</param>
    public Tensor[] Modulations(Tensor embedding)
    {
        var m = _modulation.Forward(embedding);
        // Where the stream ends, the scale is stored first.
        return _endsHere ? [m[1], m[0]] : m;
    }

    /// <summary>Layer normalisation without a scale and shift of its own.</summary>
    public Tensor Norm(Tensor x) => _norm.Forward(x);

    /// <summary>[batch, tokens, width] to [batch, heads, tokens, width/heads].</summary>
    public Tensor Query(Tensor x) => MultiHeadAttention.Heads(_query!.Forward(x), _heads, _queryNorm);

    /// <inheritdoc cref="Query"/>
    public Tensor Key(Tensor x) => MultiHeadAttention.Heads(_key.Forward(x), _heads, _keyNorm);

    /// <inheritdoc cref="Query"/>
    public Tensor Value(Tensor x) => MultiHeadAttention.Heads(_value.Forward(x), _heads);

    /// <summary>What follows the joint attention: its gated output, then the gated feed-forward network.</summary>
    /// <param name="x">The stream before the block.</param>
    /// <param name="mixed">The attention's, merged, [batch, tokens, width].</param>
    /// <param name="m">From <see cref="Modulations"/>.</param>
    /// <param name="second">The gated output of a second attention, added to the stream; null where there is none.</param>
    public Tensor Finish(Tensor x, Tensor mixed, Tensor[] m, Tensor? second = null)
    {
        var attended = Modulation.Gate(x, m[2], _output!.Forward(mixed));
        if (second is not null)
            attended = Modulation.Gate(attended, m[8], second);
        return Modulation.Gate(attended, m[5], _feedForward!.Forward(Modulation.Apply(Norm(attended), m[3], m[4])));
    }

    private readonly record struct Names(
        string Norm,
        string Query,
        string Key,
        string Value,
        string Output,
        bool OutputInList,
        string QueryNorm,
        string KeyNorm,
        string FeedForward
    );
}
