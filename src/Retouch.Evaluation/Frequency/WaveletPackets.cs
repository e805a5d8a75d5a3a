using Retouch.Torch;

namespace Retouch.Evaluation.Frequency;

/// <summary>
/// Full tree of two-dimensional Haar wavelet packets: averages and differences of rows and columns, applied recursively to every subband.
/// Orthonormal.
/// </summary>
public static class WaveletPackets
{
    /// <summary>Transforms pictures.</summary>
    /// <param name="images">[batch, channels, height, width]; sides divisible by 2^level.</param>
    /// <param name="level">Number of levels, at least 1.</param>
    /// <returns>[batch, 4^level, channels, height / 2^level, width / 2^level]. Each base-4 digit of a packet's index, the first split
    /// leading, is 2·(difference of rows) + (difference of columns).</returns>
    public static Tensor Haar(Tensor images, int level)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentOutOfRangeException.ThrowIfLessThan(level, 1);
        var step = 1L << level;
        if (images.Shape is not [var batch, var channels, var height, var width] || height % step != 0 || width % step != 0)
            throw new ArgumentException(
                $"Pictures of shape [{string.Join(", ", images.Shape)}] cannot be halved {level} times.",
                nameof(images)
            );
        using var scope = TensorScope.Enter();
        var nodes = images.Unsqueeze(1);
        for (var k = 1; k <= level; k++)
        {
            var top = nodes.Slice(3, 0, null, 2);
            var bottom = nodes.Slice(3, 1, null, 2);
            Tensor[] rows = [top + bottom, top - bottom];
            var parts = new Tensor[4];
            for (var row = 0; row < 2; row++)
            {
                var left = rows[row].Slice(4, 0, null, 2);
                var right = rows[row].Slice(4, 1, null, 2);
                parts[2 * row] = (left + right) * 0.5;
                parts[(2 * row) + 1] = (left - right) * 0.5;
            }

            nodes = Ops.Stack(parts, 2).Reshape([batch, 1L << (2 * k), channels, height >> k, width >> k]);
        }

        return scope.Keep(nodes);
    }

    /// <summary>
    /// Position of a packet in frequency order, vertically and horizontally, each 0 to 2^level − 1. Differences reverse the spectrum, so
    /// the frequency order is the Gray code of the split order.
    /// </summary>
    public static (int Row, int Column) Frequency(int packet, int level)
    {
        int row = 0,
            column = 0;
        int rowBit = 0,
            columnBit = 0;
        for (var k = level - 1; k >= 0; k--)
        {
            var digit = (packet >> (2 * k)) & 3;
            rowBit ^= digit >> 1;
            columnBit ^= digit & 1;
            row = (row << 1) | rowBit;
            column = (column << 1) | columnBit;
        }

        return (row, column);
    }
}
