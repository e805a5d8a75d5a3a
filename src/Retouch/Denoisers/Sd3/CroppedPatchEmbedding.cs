using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// Embeds latent patches as tokens and adds positions from the centre crop of a stored table (Esser et al. 2024, section 5.3.2). Keys:
/// <c>pos_embed</c> [1, side², width] (not trained), <c>proj.*</c>.
/// </summary>
internal sealed class CroppedPatchEmbedding
{
    private readonly ParameterPath _path;
    private readonly JointShape _shape;
    private readonly Parameter _table;
    private readonly Conv2d _projection;

    public CroppedPatchEmbedding(ParameterPath path, JointShape shape)
    {
        (_path, _shape) = (path, shape);
        var (side, patch, channels, width) = (shape.PositionSide, shape.Patch, shape.Channels, shape.Width);
        _table = path.Buffer(
            "pos_embed",
            [1, (long)side * side, width],
            (tensor, _) => tensor.CopyInPlace(PatchEmbedding.Positions(side, side, width, shape.SampleSize / patch))
        );
        _projection = PatchEmbedding.Projection(path, channels, width, patch);
    }

    /// <summary>Maps latents [batch, channels, height, width] to tokens [batch, height/patch · width/patch, width], row by
    /// row.</summary>
    /// <exception cref="InputException">A side has more tokens than the table.</exception>
    public Tensor Forward(Tensor latents)
    {
        var (rows, columns, side) = (latents.Shape[2] / _shape.Patch, latents.Shape[3] / _shape.Patch, (long)_shape.PositionSide);
        if (rows > side || columns > side)
            throw new InputException(
                $"{_shape.Network} has positions for latents of at most {side * _shape.Patch} per side (pos_embed_max_size {side}), "
                    + $"not {latents.Shape[2]}×{latents.Shape[3]}."
            );
        using var scope = TensorScope.Enter();
        var tokens = _projection.Forward(latents).Flatten(2).Transpose(1, 2).Contiguous();
        var window = _table.Value.View([1, side, side, -1]).Narrow(1, (side - rows) / 2, rows).Narrow(2, (side - columns) / 2, columns);
        return _path.Observe(scope.Keep(tokens + window.Reshape([1, rows * columns, -1])));
    }
}
