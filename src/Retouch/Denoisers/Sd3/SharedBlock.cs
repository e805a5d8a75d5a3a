using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// Joint block with weights shared by both streams: one attention and one feed-forward network over the concatenated image and context
/// tokens. The last block computes the image tokens only.
/// </summary>
internal sealed class SharedBlock
{
    private readonly ParameterPath _path;
    private readonly JointStream _stream;
    private readonly bool _last;

    public SharedBlock(ParameterPath path, JointShape shape, bool last)
    {
        (_path, _last) = (path, last);
        var first = path.Store.All.Count;
        _stream = JointStream.Image(path, shape, dual: false);
        Parameters = path.Store.Block(first);
    }

    /// <summary>Parameters of the block.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>[batch, image + words, width], same shape; the last block returns the image tokens only.</summary>
    /// <param name="x">Image tokens, then context tokens.</param>
    /// <param name="imageTokens">Number of image tokens.</param>
    /// <param name="embedding">Modulation embedding [batch, width].</param>
    public Tensor Forward(Tensor x, long imageTokens, Tensor embedding)
    {
        using var scope = TensorScope.Enter();
        var m = _stream.Modulations(embedding);
        var all = Modulation.Apply(_stream.Norm(x), m[0], m[1]);
        var (queried, residual) = _last ? (all.Narrow(1, 0, imageTokens), x.Narrow(1, 0, imageTokens)) : (all, x);
        var mixed = MultiHeadAttention.Merge(Attention.ScaledDotProduct(_stream.Query(queried), _stream.Key(all), _stream.Value(all)));
        return _path.Observe(scope.Keep(_stream.Finish(residual, mixed, m)));
    }
}
