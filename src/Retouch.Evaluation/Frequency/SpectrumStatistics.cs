using Retouch.Torch;

namespace Retouch.Evaluation.Frequency;

/// <summary>Spectra of a set: radial profile of each picture and mean power at every frequency.</summary>
public sealed class SpectrumStatistics : IDisposable
{
    private readonly PowerSpectrum _spectrum;
    private readonly int _width;
    private readonly int _height;
    private readonly Tensor _sum;
    private readonly List<double> _profiles = [];

    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="options">Signal and window.</param>
    /// <param name="device">Device of the computation.</param>
    public SpectrumStatistics(int width, int height, SpectrumOptions options, Device device)
    {
        _spectrum = new PowerSpectrum(width, height, options, device);
        _width = width;
        _height = height;
        _sum = Ops.Zeros([height, _spectrum.HalfWidth], dtype: DType.Float64, device: device).Escape();
    }

    /// <summary>Number of rings of a profile.</summary>
    public int Bins => _spectrum.Bins;

    /// <summary>Number of pictures.</summary>
    public int Count => _profiles.Count / Bins;

    /// <summary>Radial profiles of the pictures, [pictures, <see cref="Bins"/>].</summary>
    public double[] Profiles => [.. _profiles];

    /// <summary>Adds pictures.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    public void Add(Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var power = _spectrum.Power(images);
        _sum.AddInPlace(power.Sum([0L]));
        _profiles.AddRange(_spectrum.Profile(power).ToArray<double>());
    }

    /// <summary>Mean radial profile: ring k, 1 to <see cref="Bins"/>, at index k − 1.</summary>
    public double[] MeanProfile()
    {
        var mean = new double[Bins];
        for (var i = 0; i < _profiles.Count; i++)
            mean[i % Bins] += _profiles[i];
        for (var k = 0; k < Bins; k++)
            mean[k] /= Count;
        return mean;
    }

    /// <summary>Mean power at every frequency [height, width], frequency 0 in the centre (at height / 2, width / 2).</summary>
    public double[,] MeanMap()
    {
        var half = _sum.ToArray<double>();
        var map = new double[_height, _width];
        for (var y = 0; y < _height; y++)
        {
            for (var x = 0; x < _width; x++)
            {
                int v = (y - (_height / 2) + _height) % _height,
                    u = (x - (_width / 2) + _width) % _width;
                if (u >= _spectrum.HalfWidth)
                    (v, u) = ((_height - v) % _height, _width - u);
                map[y, x] = half[(v * _spectrum.HalfWidth) + u] / Count;
            }
        }

        return map;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sum.Dispose();
        _spectrum.Dispose();
    }
}
