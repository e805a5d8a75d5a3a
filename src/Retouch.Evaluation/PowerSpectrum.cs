using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Evaluation;

/// <summary>Which signal of a colour picture the spectrum is of.</summary>
public enum SpectrumSignal
{
    /// <summary>0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).</summary>
    Luminance,

    /// <summary>The mean of the three channels' power.</summary>
    Channels,
}

/// <summary>How spectra are taken.</summary>
public sealed record SpectrumOptions
{
    /// <summary>Which signal.</summary>
    public SpectrumSignal Signal { get; init; } = SpectrumSignal.Luminance;

    /// <summary>
    /// Whether a Hann window fades the borders out (the default). Without it, the jump from one border to the opposite one spreads over all
    /// frequencies and covers the weak high ones.
    /// </summary>
    public bool Hann { get; init; } = true;
}

/// <summary>
/// Power spectra of pictures of one size: |F|² of the signal less its mean, over the sum of the squared window, so that white noise of
/// variance v has the power v at every frequency. The radial profile averages rings of one cycle a picture's width: ring k (1 to side/2,
/// side the shorter one) holds the frequencies from k − ½ up to k + ½ cycles a side; the corners beyond are left out.
/// </summary>
public sealed class PowerSpectrum : IDisposable
{
    private readonly int width;
    private readonly int height;
    private readonly SpectrumOptions options;
    private readonly Tensor window;
    private readonly double windowPower;
    private readonly Tensor rings;
    private readonly Tensor weights;
    private readonly Tensor ringSizes;

    /// <param name="width">Pixels in a row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="options">How to take spectra.</param>
    /// <param name="device">Where to compute.</param>
    /// <exception cref="UsageException">The pictures are too small.</exception>
    public PowerSpectrum(int width, int height, SpectrumOptions options, Device device)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (width < 8 || height < 8)
            throw new UsageException($"Pictures of {width} x {height} are too small for a spectrum; each side has 8 pixels or more.");
        this.width = width;
        this.height = height;
        this.options = options;
        Bins = Math.Min(width, height) / 2;
        var (ring, weight, size) = Rings();
        using var scope = TensorScope.Enter();
        var (across, down) = (Taper(width), Taper(height));
        window = down.Outer(across).To(device).Escape();
        windowPower = window.Square().Sum().Item();
        rings = Tensor.From(ring).To(device).Escape();
        weights = Tensor.From(weight).To(device).Escape();
        ringSizes = Tensor.From(size).To(device).Escape();
    }

    /// <summary>Rings of the radial profile.</summary>
    public int Bins { get; }

    /// <summary>Columns of the half of the plane that <see cref="Power"/> gives; the other half mirrors it.</summary>
    public int HalfWidth => (width / 2) + 1;

    /// <summary>The power at every frequency.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    /// <returns>[batch, height, width / 2 + 1], float64, frequency 0 first.</returns>
    public Tensor Power(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var x = images.To(DType.Float64);
        if (options.Signal == SpectrumSignal.Luminance)
            x = Luminance.Of(x).Unsqueeze(1);
        // The mean as the window sees it: what is left at frequency 0 would leak into the first rings.
        var mean = (x * window).Sum([2L, 3], keepdim: true) / window.Sum();
        var spectrum = ((x - mean) * window).FftRfft2().ViewAsReal().Square().Sum([-1L]);
        return scope.Keep(spectrum.Mean([1L]) / windowPower);
    }

    /// <summary>Averages over rings.</summary>
    /// <param name="power">As from <see cref="Power"/>, [batch, height, width / 2 + 1].</param>
    /// <returns>[batch, <see cref="Bins"/>], float64.</returns>
    public Tensor Profile(Tensor power)
    {
        ArgumentNullException.ThrowIfNull(power);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var sums = Ops.Zeros([power.Shape[0], Bins + 1L], dtype: DType.Float64, device: power.Device);
        sums.IndexAddInPlace(1, rings, power.Flatten(1) * weights);
        return scope.Keep((sums / ringSizes).Narrow(1, 1, Bins).Contiguous());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        window.Dispose();
        rings.Dispose();
        weights.Dispose();
        ringSizes.Dispose();
    }

    // Shifted by half a pixel from the textbook's: symmetric about the picture's middle and zero nowhere.
    private Tensor Taper(int size)
    {
        var taper = new double[size];
        for (var k = 0; k < size; k++)
            taper[k] = options.Hann ? 0.5 - (0.5 * Math.Cos(2 * Math.PI * (k + 0.5) / size)) : 1;
        return Tensor.From(taper);
    }

    /// <summary>
    /// For every frequency of the half plane its ring (0 for none), how many frequencies it stands for, and each ring's size.
    /// </summary>
    private (long[] Ring, double[] Weight, double[] Size) Rings()
    {
        var ring = new long[height * HalfWidth];
        var weight = new double[ring.Length];
        var size = new double[Bins + 1];
        double side = Math.Min(width, height);
        for (var v = 0; v < height; v++)
        {
            for (var u = 0; u < HalfWidth; u++)
            {
                double down = (v <= height / 2 ? v : v - height) * side / height,
                    across = u * side / width;
                var k = (int)Math.Floor(Math.Sqrt((down * down) + (across * across)) + 0.5);
                var at = (v * HalfWidth) + u;
                ring[at] = k <= Bins ? k : 0;
                // All columns but the first and, in even widths, the last stand for their mirror image too.
                weight[at] = u == 0 || 2 * u == width ? 1 : 2;
                size[ring[at]] += weight[at];
            }
        }

        return (ring, weight, size);
    }
}
