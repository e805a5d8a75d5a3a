using Retouch.Torch;

namespace Retouch.Evaluation;

/// <summary>The spectra of a set of pictures: the radial profile of each, and the mean over all at every frequency.</summary>
public sealed class SpectrumStatistics : IDisposable
{
    private readonly PowerSpectrum spectrum;
    private readonly int width;
    private readonly int height;
    private readonly Tensor sum;
    private readonly List<double> profiles = [];

    /// <param name="width">Pixels in a row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="options">How to take spectra.</param>
    /// <param name="device">Where to compute.</param>
    public SpectrumStatistics(int width, int height, SpectrumOptions options, Device device)
    {
        spectrum = new PowerSpectrum(width, height, options, device);
        this.width = width;
        this.height = height;
        sum = Ops.Zeros([height, spectrum.HalfWidth], dtype: DType.Float64, device: device).Escape();
    }

    /// <summary>Rings of a profile.</summary>
    public int Bins => spectrum.Bins;

    /// <summary>Pictures so far.</summary>
    public int Count => profiles.Count / Bins;

    /// <summary>The pictures' radial profiles, [pictures, <see cref="Bins"/>].</summary>
    public double[] Profiles => [.. profiles];

    /// <summary>Adds pictures.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    public void Add(Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var power = spectrum.Power(images);
        sum.AddInPlace(power.Sum([0L]));
        profiles.AddRange(spectrum.Profile(power).ToArray<double>());
    }

    /// <summary>The mean radial profile: ring k, 1 to <see cref="Bins"/>, at k − 1.</summary>
    public double[] MeanProfile()
    {
        var mean = new double[Bins];
        for (var i = 0; i < profiles.Count; i++)
            mean[i % Bins] += profiles[i];
        for (var k = 0; k < Bins; k++)
            mean[k] /= Count;
        return mean;
    }

    /// <summary>The mean power at every frequency [height, width], frequency 0 in the middle (at height / 2, width / 2).</summary>
    public double[,] MeanMap()
    {
        var half = sum.ToArray<double>();
        var map = new double[height, width];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                int v = (y - (height / 2) + height) % height,
                    u = (x - (width / 2) + width) % width;
                if (u >= spectrum.HalfWidth)
                    (v, u) = ((height - v) % height, width - u);
                map[y, x] = half[(v * spectrum.HalfWidth) + u] / Count;
            }
        }

        return map;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        sum.Dispose();
        spectrum.Dispose();
    }
}
