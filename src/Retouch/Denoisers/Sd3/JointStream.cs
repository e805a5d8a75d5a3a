using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>Weights of one stream (image or context) of a joint block.</summary>
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
    private readonly bool _preOnly;

    private JointStream(ParameterPath path, JointShape shape, Names names, int modulations, bool preOnly)
    {
        var width = shape.Width;
        (_heads, _preOnly) = (shape.Heads, preOnly);
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

        if (preOnly)
            return;
        _output = MultiHeadAttention.Projection(names.OutputInList ? attention / names.Output / 0 : attention / names.Output, width, width);
        _feedForward = new GeluFeedForward(path / names.FeedForward, width);
    }

    /// <summary>The image stream.</summary>
    /// <param name="path">Path of the block.</param>
    /// <param name="shape">Network configuration.</param>
    /// <param name="dual">Whether the block has a second attention: nine modulations instead of six.</param>
    public static JointStream Image(ParameterPath path, JointShape shape, bool dual) =>
        new(
            path,
            shape,
            new Names("norm1", "to_q", "to_k", "to_v", "to_out", true, "norm_q", "norm_k", "ff"),
            dual ? 9 : 6,
            preOnly: false
        );

    /// <summary>The context stream.</summary>
    /// <param name="path">Path of the block.</param>
    /// <param name="shape">Network configuration.</param>
    /// <param name="last">Whether this is the last block, whose context provides only keys and values.</param>
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
            preOnly: last
        );

    /// <summary>
    /// Shift, scale and gate of the attention, then of the feed-forward network, then of a second attention; each [batch, 1, width].
    /// </summary>
    /// <param name="embedding">Modulation embedding [batch, width].</param>
    public Tensor[] Modulations(Tensor embedding)
    {
        var m = _modulation.Forward(embedding);
        // The last context stream stores scale before shift.
        return _preOnly ? [m[1], m[0]] : m;
    }

    /// <summary>Layer normalisation without learned scale and shift.</summary>
    public Tensor Norm(Tensor x) => _norm.Forward(x);

    /// <summary>Projects [batch, tokens, width] to [batch, heads, tokens, width/heads].</summary>
    public Tensor Query(Tensor x) => MultiHeadAttention.Heads(_query!.Forward(x), _heads, _queryNorm);

    /// <inheritdoc cref="Query"/>
    public Tensor Key(Tensor x) => MultiHeadAttention.Heads(_key.Forward(x), _heads, _keyNorm);

    /// <inheritdoc cref="Query"/>
    public Tensor Value(Tensor x) => MultiHeadAttention.Heads(_value.Forward(x), _heads);

    /// <summary>Gated attention output, then gated feed-forward network.</summary>
    /// <param name="x">Block input.</param>
    /// <param name="mixed">Merged attention output [batch, tokens, width].</param>
    /// <param name="m">Output of <see cref="Modulations"/>.</param>
    /// <param name="second">Output of the second attention, gated and added; or null.</param>
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
