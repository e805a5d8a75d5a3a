using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// MM-DiT block (Esser et al., "Scaling Rectified Flow Transformers", 2024, section 4): image and context tokens have separate weights
/// and attend jointly to all tokens. In the last block the context only provides keys and values. Blocks of SD 3.5 can have a second,
/// image-only attention.
/// </summary>
internal sealed class JointBlock
{
    private readonly ParameterPath _path;
    private readonly JointStream _image;
    private readonly JointStream _context;
    private readonly MultiHeadAttention? _second;
    private readonly bool _last;

    public JointBlock(ParameterPath path, JointShape shape, bool dual, bool last)
    {
        (_path, _last) = (path, last);
        var first = path.Store.All.Count;
        _image = JointStream.Image(path, shape, dual);
        _context = JointStream.Context(path, shape, last);
        if (dual)
            _second = new MultiHeadAttention(
                path / "attn2",
                shape.Heads,
                shape.HeadDim,
                normEps: shape.NormaliseHeads ? JointStream.NormEps : null
            );
        Parameters = path.Store.Block(first);
    }

    /// <summary>Parameters of the block.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>
    /// Image [batch, tokens, width] and context [batch, words, width], same shapes; the last block returns the image only.
    /// </summary>
    /// <param name="image">Image tokens.</param>
    /// <param name="context">Context tokens.</param>
    /// <param name="embedding">Modulation embedding [batch, width].</param>
    public Tensor[] Forward(Tensor image, Tensor context, Tensor embedding)
    {
        using var scope = TensorScope.Enter();
        var (mi, mc) = (_image.Modulations(embedding), _context.Modulations(embedding));
        var normal = _image.Norm(image);
        var (i, c) = (Modulation.Apply(normal, mi[0], mi[1]), Modulation.Apply(_context.Norm(context), mc[0], mc[1]));
        // Concatenated per head, so that the contiguous copy for attention is made once. The last block's context queries are unused.
        var query = _last ? _image.Query(i) : Ops.Cat([_image.Query(i), _context.Query(c)], 2);
        var mixed = MultiHeadAttention.Merge(
            Attention.ScaledDotProduct(
                query,
                Ops.Cat([_image.Key(i), _context.Key(c)], 2),
                Ops.Cat([_image.Value(i), _context.Value(c)], 2)
            )
        );
        var tokens = image.Shape[1];
        var second = _second?.Forward(Modulation.Apply(normal, mi[6], mi[7]));
        var imageOut = scope.Keep(_image.Finish(image, _last ? mixed : mixed.Narrow(1, 0, tokens), mi, second));
        if (_last)
            return [_path.Observe(imageOut)];
        var contextOut = scope.Keep(_context.Finish(context, mixed.Narrow(1, tokens, context.Shape[1]), mc));
        // Observed in the output order of diffusers' block.
        Numbered(0).Observe(contextOut);
        return [Numbered(1).Observe(imageOut), contextOut];
    }

    private ParameterPath Numbered(int output) => new(_path.Store, $"{_path.Name}#{output}");
}
