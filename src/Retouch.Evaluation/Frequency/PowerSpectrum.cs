using Retouch.Core.Errors;
using Retouch.Evaluation.Pixels;
using Retouch.Torch;

namespace Retouch.Evaluation.Frequency;

/// <summary>Signal of a colour picture for its spectrum.</summary>
public enum SpectrumSignal
{
    /// <summary>0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).</summary>
    Luminance,

    /// <summary>Mean power of the three channels.</summary>
    Channels,
}

/// <summary>Options of power spectra.</summary>
public sealed record SpectrumOptions
{
    /// <summary>Signal.</summary>
    public SpectrumSignal Signal { get; init; } = SpectrumSignal.Luminance;

    /// <summary>
    /// Whether a Hann window is applied (default). Without a window, the discontinuity between opposite borders leaks into all frequencies
    /// and masks the weak high ones.
    /// </summary>
    public bool Hann { get; init; } = true;
}

/// <summary>
/// Power spectra of pictures of one size: |F|² of the centred signal, divided by the sum of the squared window, so that white noise of
/// variance v has power v at every frequency. The radial profile averages over rings of width 1: ring k (1 to side/2, with the shorter
/// side) contains the frequencies from k − ½ to k + ½ cycles per side; the corners are excluded.
/// </summary>
public sealed class PowerSpectrum : IDisposable
{
    private readonly int _width;
    private readonly int _height;
    private readonly SpectrumOptions _options;
    private readonly Tensor _window;
    private readonly double _windowPower;
    private readonly Tensor _rings;
    private readonly Tensor _weights;
    private readonly Tensor _ringSizes;

    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="options">Signal and window.</param>
    /// <param name="device">Device of the computation.</param>
    /// <exception cref="UsageException">The pictures are too small.</exception>
    public PowerSpectrum(int width, int height, SpectrumOptions options, Device device)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (width < 8 || height < 8)
            throw new UsageException(
                $"Pictures of {width} x {height} are too small for a spectrum; each side must have at least 8 pixels."
            );
        _width = width;
        _height = height;
        _options = options;
        Bins = Math.Min(width, height) / 2;
        var (ring, weight, size) = Rings();
        using var scope = TensorScope.Enter();
        var (across, down) = (Taper(width), Taper(height));
        _window = down.Outer(across).To(device).Escape();
        _windowPower = _window.Square().Sum().Item();
        _rings = Tensor.From(ring).To(device).Escape();
        _weights = Tensor.From(weight).To(device).Escape();
        _ringSizes = Tensor.From(size).To(device).Escape();
    }

    /// <summary>Number of rings of the radial profile.</summary>
    public int Bins { get; }

    /// <summary>Columns of the half plane of <see cref="Power"/>; the other half is its mirror image.</summary>
    public int HalfWidth => (_width / 2) + 1;

    /// <summary>Power at every frequency.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    /// <returns>[batch, height, width / 2 + 1], float64, frequency 0 first.</returns>
    public Tensor Power(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var x = images.To(DType.Float64);
        if (_options.Signal == SpectrumSignal.Luminance)
            x = Luminance.Of(x).Unsqueeze(1);
        // Windowed mean: a residual at frequency 0 would leak into the first rings.
        var mean = (x * _window).Sum([2L, 3], keepdim: true) / _window.Sum();
        var spectrum = ((x - mean) * _window).FftRfft2().ViewAsReal().Square().Sum([-1L]);
        return scope.Keep(spectrum.Mean([1L]) / _windowPower);
    }

    /// <summary>Radial profile.</summary>
    /// <param name="power">Output of <see cref="Power"/>, [batch, height, width / 2 + 1].</param>
    /// <returns>[batch, <see cref="Bins"/>], float64.</returns>
    public Tensor Profile(Tensor power)
    {
        ArgumentNullException.ThrowIfNull(power);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var sums = Ops.Zeros([power.Shape[0], Bins + 1L], dtype: DType.Float64, device: power.Device);
        sums.IndexAddInPlace(1, _rings, power.Flatten(1) * _weights);
        return scope.Keep((sums / _ringSizes).Narrow(1, 1, Bins).Contiguous());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _window.Dispose();
        _rings.Dispose();
        _weights.Dispose();
        _ringSizes.Dispose();
    }

    // Shifted by half a pixel against the textbook's window: symmetric about the centre and nowhere zero.
    private Tensor Taper(int size)
    {
        var taper = new double[size];
        for (var k = 0; k < size; k++)
            taper[k] = _options.Hann ? 0.5 - (0.5 * Math.Cos(2 * Math.PI * (k + 0.5) / size)) : 1;
        return Tensor.From(taper);
    }

    /// <summary>
    /// Ring of each frequency of the half plane (0 for none), its multiplicity, and the size of each ring.
    /// </summary>
    private (long[] Ring, double[] Weight, double[] Size) Rings()
    {
        var ring = new long[_height * HalfWidth];
        var weight = new double[ring.Length];
        var size = new double[Bins + 1];
        double side = Math.Min(_width, _height);
        for (var v = 0; v < _height; v++)
        {
            for (var u = 0; u < HalfWidth; u++)
            {
                double down = (v <= _height / 2 ? v : v - _height) * side / _height,
                    across = u * side / _width;
                var k = (int)Math.Floor(Math.Sqrt((down * down) + (across * across)) + 0.5);
                var at = (v * HalfWidth) + u;
                ring[at] = k <= Bins ? k : 0;
                // All columns but the first and, for even widths, the last also represent their mirror image.
                weight[at] = u == 0 || 2 * u == _width ? 1 : 2;
                size[ring[at]] += weight[at];
            }
        }

        return (ring, weight, size);
    }
}
