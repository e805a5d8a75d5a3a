using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.PixArt;

/// <summary>
/// Self-attention, attention to the caption, and a feed-forward network; first and last take scale, shift and gate from the time, the
/// middle has no norm (Chen et al., "PixArt-α", 2023, section 2.3). Keys: <c>scale_shift_table</c>, <c>attn1</c>, <c>attn2</c>, <c>ff</c>.
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
        // A fresh block ignores the caption, so that a class-conditional network can go on from where it stands (section 2.3,
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
        Parameters = [.. path.Store.All.Skip(first)];
    }

    /// <summary>Its parameters.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Tokens [batch, tokens, width] to the same shape.</summary>
    /// <param name="x">Tokens.</param>
    /// <param name="modulation">[batch, 6, width], all blocks' own.</param>
    /// <param name="caption">[batch, words, width].</param>
    /// <param name="mask">Added to the scores of the caption, [batch, 1, 1, words]; null where all words count.</param>
    public Tensor Forward(Tensor x, Tensor modulation, Tensor caption, Tensor? mask)
    {
        using var scope = TensorScope.Enter();
        var m = (modulation + _table.Value).Chunk(6, 1);
        var attended = Modulation.Gate(x, m[2], _self.Forward(Modulation.Apply(_norm1.Forward(x), m[0], m[1])));
        var told = attended + _cross.Forward(attended, caption, mask);
        return _path.Observe(
            scope.Keep(Modulation.Gate(told, m[5], _feedForward.Forward(Modulation.Apply(_norm2.Forward(told), m[3], m[4]))))
        );
    }
}
