using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// A joint block whose two streams have the same weights: one attention and one feed-forward network over image and context tokens in a
/// row. In the last block only the image asks and goes on.
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
        Parameters = [.. path.Store.All.Skip(first)];
    }

    /// <summary>Its parameters.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Tokens [batch, image + words, width] to the same shape; the last block gives the image's alone.</summary>
    /// <param name="x">Image tokens, then context tokens.</param>
    /// <param name="imageTokens">How many of them are the image's.</param>
    /// <param name="embedding">What modulations are made from, [batch, width].</param>
    public Tensor Forward(Tensor x, long imageTokens, Tensor embedding)
    {
        using var scope = TensorScope.Enter();
        var m = _stream.Modulations(embedding);
        var all = Modulation.Apply(_stream.Norm(x), m[0], m[1]);
        var (asking, rest) = _last ? (all.Narrow(1, 0, imageTokens), x.Narrow(1, 0, imageTokens)) : (all, x);
        var mixed = MultiHeadAttention.Merge(Attention.ScaledDotProduct(_stream.Query(asking), _stream.Key(all), _stream.Value(all)));
        return _path.Observe(scope.Keep(_stream.Finish(rest, mixed, m)));
    }
}
