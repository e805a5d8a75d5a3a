using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// Windows of a batch, one per sample: what is decoded is a window with its halo (its region), what is compared is the window. At the
/// border of the picture a region ends, too, and extends further on the other side: all regions of a batch have one size.
/// </summary>
/// <param name="Crop">Size of the windows.</param>
/// <param name="Height">Height of the whole latents.</param>
/// <param name="Width">Width of the whole latents.</param>
/// <param name="Places">First row and column of each window, in latents.</param>
public sealed record DecodeWindows(DecodeCrop Crop, int Height, int Width, IReadOnlyList<(int Top, int Left)> Places)
{
    /// <summary>Part of a picture's area in its window, in (0, 1].</summary>
    public double Share => (double)Crop.Side * Crop.Side / ((double)Height * Width);

    /// <summary>Height of a region in latents.</summary>
    private int RegionHeight => Math.Min(Height, Crop.Side + (2 * Crop.Halo));

    /// <summary>Width of a region in latents.</summary>
    private int RegionWidth => Math.Min(Width, Crop.Side + (2 * Crop.Halo));

    /// <summary>The windows of some samples.</summary>
    /// <param name="samples">Indices in the batch.</param>
    public DecodeWindows Of(IReadOnlyList<int> samples) => this with { Places = [.. samples.Select(k => Places[k])] };

    /// <summary>
    /// Windows of [winners; losers; single samples] from those of [winners; single samples]: both samples of a pair share one.
    /// </summary>
    /// <param name="pairs">Number of pairs.</param>
    public DecodeWindows Spread(int pairs) => this with { Places = [.. Places.Take(pairs), .. Places] };

    /// <summary>Decodes the regions of whole latents, and returns the windows of all outputs; whole outputs without windows.</summary>
    /// <param name="autoencoder">Provides the decoder.</param>
    /// <param name="latents">[samples, channels, height, width].</param>
    /// <param name="request">Requested taps and image.</param>
    /// <param name="windows">One window per sample, or null.</param>
    public static DecodedTaps Decode(IAutoencoder autoencoder, Tensor latents, TapRequest request, DecodeWindows? windows)
    {
        ArgumentNullException.ThrowIfNull(autoencoder);
        if (windows is null)
            return autoencoder.DecodeWithTaps(new Latent(latents), request);
        using var scope = TensorScope.Enter();
        var decoded = autoencoder.DecodeWithTaps(new Latent(windows.Region(latents)), request);
        var result = new DecodedTaps([.. decoded.Features.Select(windows.Window)], decoded.Rgb is { } rgb ? windows.Window(rgb) : null);
        scope.Keep(result.Features);
        if (result.Rgb is not null)
            scope.Keep(result.Rgb);
        return result;
    }

    /// <summary>Regions of whole latents: [samples, channels, height, width] to [samples, channels, region height, region width].</summary>
    internal Tensor Region(Tensor latents) => Each(latents, RegionOf, RegionHeight, RegionWidth);

    /// <summary>Windows of decoded regions, on any grid that divides the latents.</summary>
    internal Tensor Window(Tensor map)
    {
        var scale = (int)(map.Shape[2] / RegionHeight);
        return Each(
            map,
            k =>
            {
                var (top, left) = RegionOf(k);
                return ((Places[k].Top - top) * scale, (Places[k].Left - left) * scale);
            },
            Crop.Side * scale,
            Crop.Side * scale
        );
    }

    /// <summary>Windows of whole pictures, [samples, channels, height, width] in pixels.</summary>
    internal Tensor Pixels(Tensor pictures)
    {
        var f = Crop.Downsampling;
        return Each(pictures, k => (Places[k].Top * f, Places[k].Left * f), Crop.Side * f, Crop.Side * f);
    }

    /// <summary>
    /// Weights of a window's pixels that make a sum over pixels unbiased: the mean probability of a latent to be in a window, over its
    /// own. [samples, 1, height, width] on the grid and in the type of a map of windows; null if all are 1.
    /// </summary>
    internal Tensor? Weights(Tensor map)
    {
        double[] Along(int length) => [.. Enumerable.Range(0, length).Select(k => (double)Crop.Side / length / Crop.Coverage(k, length))];
        var (rows, columns, side) = (Along(Height), Along(Width), Crop.Side);
        var values = new double[Places.Count * side * side];
        for (var k = 0; k < values.Length; k++)
        {
            var (top, left) = Places[k / (side * side)];
            values[k] = rows[top + (k / side % side)] * columns[left + (k % side)];
        }

        if (Array.TrueForAll(values, static v => Math.Abs(v - 1) < 1e-12))
            return null;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var weights = Tensor.From(values, Places.Count, 1, side, side).To(map.DType).To(map.Device);
        return scope.Keep(side == map.Shape[2] ? weights : weights.UpsampleNearest2d([map.Shape[2], map.Shape[3]]));
    }

    private (int Top, int Left) RegionOf(int sample) =>
        (
            Math.Clamp(Places[sample].Top - Crop.Halo, 0, Height - RegionHeight),
            Math.Clamp(Places[sample].Left - Crop.Halo, 0, Width - RegionWidth)
        );

    /// <summary>A part of each sample; the tensor itself if that is all of it.</summary>
    private Tensor Each(Tensor x, Func<int, (int Top, int Left)> start, int height, int width)
    {
        if (x.Shape[2] == height && x.Shape[3] == width)
            return x;
        using var scope = TensorScope.Enter();
        var parts = Enumerable
            .Range(0, Places.Count)
            .Select(k =>
            {
                var (top, left) = start(k);
                return x.Narrow(0, k, 1).Narrow(2, top, height).Narrow(3, left, width);
            });
        return scope.Keep(Ops.Cat([.. parts], 0));
    }
}
