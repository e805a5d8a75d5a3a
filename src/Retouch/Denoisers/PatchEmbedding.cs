using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers;

/// <summary>
/// Embeds latent patches as tokens by one linear map and adds 2-D sinusoidal positions: the first half of the channels encodes the
/// column, the second half the row, each as sines then cosines. The position table is computed, not stored. Keys: <c>proj.weight</c>
/// [width, channels, patch, patch], <c>proj.bias</c>.
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

    /// <param name="path">Path of the parameters.</param>
    /// <param name="channels">Channels of the latents.</param>
    /// <param name="width">Token width; a multiple of 4.</param>
    /// <param name="patch">Patch side in latent pixels.</param>
    /// <param name="baseSide">Tokens per side at the base resolution; positions of other resolutions are scaled to the same
    /// range.</param>
    /// <param name="interpolation">Divisor of the positions; 1 for none.</param>
    public PatchEmbedding(ParameterPath path, int channels, int width, int patch, int baseSide, double interpolation = 1)
    {
        (_path, _width, _patch, _baseSide, _interpolation) = (path, width, patch, baseSide, interpolation);
        _projection = Projection(path, channels, width, patch);
    }

    /// <summary>Convolution from patches to tokens, initialised as a linear layer over the patch pixels.</summary>
    internal static Conv2d Projection(ParameterPath path, int channels, int width, int patch) =>
        new Conv2d(
            path / "proj",
            channels,
            width,
            patch,
            stride: patch,
            weightInit: Inits.XavierUniform((long)channels * patch * patch, width),
            biasInit: Inits.Zeros
        );

    /// <summary>Maps latents [batch, channels, height, width] to tokens [batch, height/patch · width/patch, width], row by
    /// row.</summary>
    public Tensor Forward(Tensor latents)
    {
        using var scope = TensorScope.Enter();
        var squares = _projection.Forward(latents);
        // Contiguous here, because sums keep the layout of their inputs and every later normalisation would copy otherwise.
        var tokens = squares.Flatten(2).Transpose(1, 2).Contiguous();
        return _path.Observe(
            scope.Keep(tokens + Table(latents.Shape[2] / _patch, latents.Shape[3] / _patch, squares.Device, squares.DType))
        );
    }

    /// <summary>Sinusoidal features of grid positions, computed in float64.</summary>
    /// <param name="height">Token rows.</param>
    /// <param name="width">Token columns.</param>
    /// <param name="channels">Features per token; a multiple of 4.</param>
    /// <param name="baseSide">Range of both coordinates.</param>
    /// <param name="interpolation">Divisor of the coordinates.</param>
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

        // Coordinates are rounded to float32 before the angles are computed, as in pretraining.
        double Coordinate(long index, long side) => (float)(index / (side / (double)baseSide) / interpolation);

        void Fill(Span<float> features, double position)
        {
            for (var k = 0; k < quarter; k++)
                (features[k], features[k + quarter]) = ((float)Math.Sin(position * Frequency(k)), (float)Math.Cos(position * Frequency(k)));
        }

        double Frequency(int k) => 1 / Math.Pow(10000, k / (double)quarter);
    }

    /// <summary>Unpatchifies tokens [batch, rows·columns, patch·patch·channels] to [batch, channels, height, width].</summary>
    /// <param name="tokens">Tokens row by row; channels are the fastest-varying index within a token.</param>
    /// <param name="height">Output height, a multiple of the patch side.</param>
    /// <param name="width">Output width, a multiple of the patch side.</param>
    /// <param name="patch">Patch side in latent pixels.</param>
    public static Tensor Assemble(Tensor tokens, long height, long width, int patch)
    {
        var (batch, channels) = (tokens.Shape[0], tokens.Shape[2] / (patch * patch));
        var squares = tokens.View([batch, height / patch, width / patch, patch, patch, channels]);
        return squares.Permute([0, 5, 1, 3, 2, 4]).Reshape([batch, channels, height, width]);
    }

    /// <summary>Validates the shape of input latents.</summary>
    /// <param name="latents">Input latents.</param>
    /// <param name="network">Network name for the error message.</param>
    /// <param name="channels">Expected channels.</param>
    /// <param name="patch">Patch side in latent pixels.</param>
    /// <exception cref="InputException">The shape is not [batch, channels, height, width], or a side is not a multiple of the
    /// patch.</exception>
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
