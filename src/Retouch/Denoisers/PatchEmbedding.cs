using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Cuts latents into squares, makes a token of each by one linear map, and adds where it stands: the first half of the channels tells the
/// column, the second the row, as sines then cosines. The position table is computed, not stored. Keys: <c>proj.weight</c> [width,
/// channels, patch, patch], <c>proj.bias</c>.
/// </summary>
public sealed class PatchEmbedding : IDisposable
{
    private readonly ParameterPath _path;
    private readonly Conv2d _projection;
    private readonly int _patch;
    private readonly int _width;
    private readonly int _baseSide;
    private readonly double _interpolation;
    private (long Height, long Width, Device Device, DType Type) _tableFor;
    private Tensor? _table;

    /// <param name="path">Where it stands.</param>
    /// <param name="channels">Channels of the latents.</param>
    /// <param name="width">Width of a token; a multiple of 4.</param>
    /// <param name="patch">Side of a square.</param>
    /// <param name="baseSide">Tokens a side at the resolution that positions are counted in; other resolutions cover the same range more
    /// finely or coarsely.</param>
    /// <param name="interpolation">Divides positions; 1 leaves them.</param>
    public PatchEmbedding(ParameterPath path, int channels, int width, int patch, int baseSide, double interpolation = 1)
    {
        (_path, _width, _patch, _baseSide, _interpolation) = (path, width, patch, baseSide, interpolation);
        // The map is linear, so it starts as a linear layer over the square's pixels would.
        _projection = new Conv2d(
            path / "proj",
            channels,
            width,
            patch,
            stride: patch,
            weightInit: Inits.XavierUniform((long)channels * patch * patch, width),
            biasInit: Inits.Zeros
        );
    }

    /// <summary>Latents [batch, channels, height, width] to tokens [batch, height/patch · width/patch, width], row by row.</summary>
    public Tensor Forward(Tensor latents)
    {
        using var scope = TensorScope.Enter();
        var squares = _projection.Forward(latents);
        // In one piece from here on: sums keep the layout of what they start from, and every normalisation after them would copy.
        var tokens = squares.Flatten(2).Transpose(1, 2).Contiguous();
        return _path.Observe(
            scope.Keep(tokens + Table(latents.Shape[2] / _patch, latents.Shape[3] / _patch, squares.Device, squares.DType))
        );
    }

    /// <summary>Sine and cosine features of a grid's positions, made in float64.</summary>
    /// <param name="height">Rows of tokens.</param>
    /// <param name="width">Columns of tokens.</param>
    /// <param name="channels">Features of a token; a multiple of 4.</param>
    /// <param name="baseSide">Range that both coordinates cover.</param>
    /// <param name="interpolation">Divides the coordinates.</param>
    /// <returns>[1, height·width, channels], float32, on the CPU.</returns>
    public static Tensor Positions(long height, long width, int channels, int baseSide, double interpolation = 1)
    {
        var values = new float[height * width * channels];
        var quarter = channels / 4;
        for (var row = 0L; row < height; row++)
        {
            for (var column = 0L; column < width; column++)
            {
                var token = values.AsSpan((int)(((row * width) + column) * channels), channels);
                Fill(token[..(2 * quarter)], Coordinate(column, width));
                Fill(token[(2 * quarter)..], Coordinate(row, height));
            }
        }

        return Tensor.From(values, 1, height * width, channels);

        // Coordinates are rounded to float32 before the angles are taken, as pretrained networks saw them.
        double Coordinate(long index, long side) => (float)(index / (side / (double)baseSide) / interpolation);

        void Fill(Span<float> features, double position)
        {
            for (var k = 0; k < quarter; k++)
                (features[k], features[k + quarter]) = ((float)Math.Sin(position * Frequency(k)), (float)Math.Cos(position * Frequency(k)));
        }

        double Frequency(int k) => 1 / Math.Pow(10000, k / (double)quarter);
    }

    /// <summary>The way back: tokens [batch, rows·columns, patch·patch·channels] to pictures [batch, channels, height, width].</summary>
    /// <param name="tokens">Row by row; within a token the channel runs fastest.</param>
    /// <param name="height">A multiple of the patch.</param>
    /// <param name="width">A multiple of the patch.</param>
    /// <param name="patch">Side of a square.</param>
    public static Tensor Assemble(Tensor tokens, long height, long width, int patch)
    {
        var (batch, channels) = (tokens.Shape[0], tokens.Shape[2] / (patch * patch));
        var squares = tokens.View([batch, height / patch, width / patch, patch, patch, channels]);
        return squares.Permute([0, 5, 1, 3, 2, 4]).Reshape([batch, channels, height, width]);
    }

    /// <summary>Refuses latents that cannot be cut.</summary>
    /// <param name="latents">What came.</param>
    /// <param name="network">Who takes them, for the message.</param>
    /// <param name="channels">Channels that it takes.</param>
    /// <param name="patch">Side of a square.</param>
    /// <exception cref="InputException">Not [batch, channels, height, width], or a side is no multiple of the patch.</exception>
    public static void Check(Tensor latents, string network, int channels, int patch)
    {
        var shape = latents.Shape;
        if (shape.Length != 4 || shape[1] != channels || shape[2] % patch != 0 || shape[3] % patch != 0)
            throw new InputException(
                $"{network} takes latents [batch, {channels}, height, width] with sides divisible by {patch}, not "
                    + $"[{string.Join(", ", shape)}]."
            );
    }

    /// <summary>Frees the position table.</summary>
    public void Dispose()
    {
        _table?.Dispose();
        _table = null;
    }

    private Tensor Table(long height, long width, Device device, DType type)
    {
        if (_table is null || _tableFor != (height, width, device, type))
        {
            using var scope = TensorScope.Enter();
            var table = Positions(height, width, _width, _baseSide, _interpolation).To(type).To(device).Escape();
            _table?.Dispose();
            (_table, _tableFor) = (table, (height, width, device, type));
        }

        return _table;
    }
}
