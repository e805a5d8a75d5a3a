using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.PixArt;

/// <summary>
/// Self-attention, cross-attention to the caption and a feed-forward network. Self-attention and feed-forward network are modulated by
/// the timestep; cross-attention has no norm (Chen et al., "PixArt-α", 2023, section 2.3). Keys: <c>scale_shift_table</c>,
/// <c>attn1</c>,
/// <c>attn2</c>, <c>ff</c>.
/// </summary>
internal sealed class PixArtBlock
{
    private readonly ParameterPath _path;
    private readonly Parameter _table;
    private readonly LayerNorm _norm1;
    private readonly LayerNorm _norm2;
    private readonly MultiHeadAttention _self;
    private readonly MultiHeadAttention _cross;
    private readonly GeluFeedForward _feedForward;

    public PixArtBlock(ParameterPath path, PixArtConfig config)
    {
        _path = path;
        var first = path.Store.All.Count;
        var width = config.Width;
        _table = path.Parameter("scale_shift_table", [6, width], Inits.Normal(1 / Math.Sqrt(width)));
        _norm1 = new LayerNorm(path / "norm1", width, config.NormEps, affine: false);
        _norm2 = new LayerNorm(path / "norm2", width, config.NormEps, affine: false);
        _self = new MultiHeadAttention(
            path / "attn1",
            config.NumAttentionHeads,
            config.AttentionHeadDim,
            config.AttentionBias,
            config.UpcastAttention
        );
        // A newly initialised block ignores the caption, so that training can continue from a class-conditional network (section 2.3,
        // "Reparameterization").
        _cross = new MultiHeadAttention(
            path / "attn2",
            config.NumAttentionHeads,
            config.AttentionHeadDim,
            config.AttentionBias,
            config.UpcastAttention,
            outputInit: Inits.Zeros
        );
        _feedForward = new GeluFeedForward(path / "ff", width, GeluFeedForward.IsApproximate(config.ActivationFn));
        Parameters = path.Store.Block(first);
    }

    /// <summary>Parameters of the block.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>[batch, tokens, width], same shape.</summary>
    /// <param name="x">Tokens.</param>
    /// <param name="modulation">Modulation shared by all blocks, [batch, 6, width].</param>
    /// <param name="caption">Caption tokens [batch, words, width].</param>
    /// <param name="mask">Added to the caption's attention scores, [batch, 1, 1, words]; null for no mask.</param>
    public Tensor Forward(Tensor x, Tensor modulation, Tensor caption, Tensor? mask)
    {
        using var scope = TensorScope.Enter();
        var m = (modulation + _table.Value).Chunk(6, 1);
        var attended = Modulation.Gate(x, m[2], _self.Forward(Modulation.Apply(_norm1.Forward(x), m[0], m[1])));
        var captioned = attended + _cross.Forward(attended, caption, mask);
        return _path.Observe(
            scope.Keep(Modulation.Gate(captioned, m[5], _feedForward.Forward(Modulation.Apply(_norm2.Forward(captioned), m[3], m[4]))))
        );
    }
}
