namespace Retouch.Torch.Optim;

/// <summary>
/// The dynamic map of 8-bit optimiser states (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2022, section 2): 256 values
/// in [−1, 1], or in [0, 1] for the second moment. A number of zero bits states a power of ten, the bits behind the first one a fraction.
/// Codes are the positions of the values in ascending order.
/// </summary>
internal sealed class ByteMap : IDisposable
{
    private const int Decades = 7;

    // The smallest normal float32.
    private const double Smallest = 1.17549435e-38;

    private readonly Tensor _values;
    private readonly Tensor _borders;

    /// <param name="signed">Whether values can be negative.</param>
    /// <param name="device">Device of the states.</param>
    public ByteMap(bool signed, Device device)
    {
        using var scope = TensorScope.Enter();
        var values = Values(signed);
        var borders = values.Skip(1).Select((v, k) => (v + values[k]) / 2);
        _values = Tensor.From(Array.ConvertAll(values, static v => (float)v)).To(device).Escape();
        _borders = Tensor.From(borders.Select(static v => (float)v).ToArray()).To(device).Escape();
        Zero = Array.IndexOf(values, 0.0);
    }

    /// <summary>Code of zero.</summary>
    public int Zero { get; }

    /// <summary>The values in ascending order, in float64.</summary>
    /// <param name="signed">Whether values can be negative; without a sign its bit belongs to the fraction.</param>
    public static double[] Values(bool signed)
    {
        List<double> values = [0, 1];
        for (var zeros = 0; zeros < Decades; zeros++)
        {
            // Bits behind the first one. The fraction is the middle of an equal part of [0.1, 1].
            var parts = 1 << (Decades - 1 - zeros + (signed ? 0 : 1));
            for (var part = 0; part < parts; part++)
            {
                var value = Math.Pow(10, -zeros) * (0.1 + (0.9 * (part + 0.5) / parts));
                values.Add(value);
                if (signed)
                    values.Add(-value);
            }
        }

        values.Sort();
        return [.. values];
    }

    /// <summary>Values of codes, in blocks.</summary>
    /// <param name="codes">Codes [blocks·width], uint8.</param>
    /// <param name="scales">Largest magnitude of each block [blocks].</param>
    /// <param name="width">Elements per block.</param>
    /// <returns>Float32 [blocks, width].</returns>
    public Tensor Decode(Tensor codes, Tensor scales, long width)
    {
        var values = _values.IndexSelect(0, codes.To(DType.Int32)).View([-1, width]);
        values.MulInPlace(scales.Unsqueeze(1));
        return values;
    }

    /// <summary>Writes the codes of the nearest values, and the largest magnitude of each block.</summary>
    /// <param name="values">Float32 [blocks, width].</param>
    /// <param name="codes">Receives the codes [blocks·width].</param>
    /// <param name="scales">Receives the magnitudes [blocks].</param>
    public void Encode(Tensor values, Tensor codes, Tensor scales)
    {
        var largest = values.Abs().Amax([1], keepdim: true);
        scales.CopyInPlace(largest.View([-1]));
        // A block of zeros remains zero.
        var relative = values / largest.ClampMin(Smallest);
        codes.CopyInPlace(relative.Bucketize(_borders, outInt32: true).View([-1]));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _values.Dispose();
        _borders.Dispose();
    }
}
