using Retouch.Autoencoders;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>One layer of the loss, with all that follows from its place in the decoder.</summary>
/// <param name="Name"><c>tap0</c>, <c>tap1</c>, … or <c>rgb</c>.</param>
/// <param name="Weight">ω_l.</param>
/// <param name="Features">How its features are compared.</param>
internal sealed record Layer(string Name, double Weight, FeatureSettings Features);

/// <summary>How the features of one layer are compared.</summary>
/// <param name="Normalisation">How they are made comparable.</param>
/// <param name="Detach">Statistics count as constants.</param>
/// <param name="Mask">How outliers are found; null keeps all pixels.</param>
/// <param name="Kept">The sum over pixels is divided by those kept, not by all.</param>
internal sealed record FeatureSettings(Normalisation Normalisation, bool Detach, MaskSettings? Mask, bool Kept);

/// <summary>How outliers are found in a map.</summary>
/// <param name="Source">Whose features decide.</param>
/// <param name="Quantile">Part of the pixels outside either quantile.</param>
/// <param name="Margin">Standard deviations beyond the quantiles.</param>
/// <param name="Closing">Odd side of the max-pool window on what is kept.</param>
/// <param name="Opening">Odd side of the min-pool window that follows.</param>
internal sealed record MaskSettings(MaskSource Source, double Quantile, double Margin, int Closing, int Opening);

/// <summary>The layers of the loss for one decoder.</summary>
internal sealed class LayerPlan
{
    public LayerPlan(LatentPerceptualOptions options, IAutoencoder autoencoder)
    {
        var all = autoencoder.Taps;
        Taps = [.. options.Taps ?? LatentPerceptualRules.DefaultTaps(all.Count)];
        Rgb = options.Rgb;
        // Relative to the whole decoder, not to the taps that were asked for: a layer's loss must not depend on which others are on.
        double first = all[0].Scale,
            deepest = Math.Max(all.Max(static t => t.Scale), Rgb ? autoencoder.Downsampling : 0);
        List<(string Name, double Scale)> places = [.. Taps.Select(t => ($"tap{t}", (double)all[t].Scale))];
        if (Rgb)
            places.Add(("rgb", autoencoder.Downsampling));
        Layers =
        [
            .. places.Select((p, k) => new Layer(p.Name, DepthWeight(options, p.Scale / first, k), Features(options, deepest / p.Scale))),
        ];
    }

    /// <summary>Taps, ascending.</summary>
    public int[] Taps { get; }

    /// <summary>Whether the image is the last layer.</summary>
    public bool Rgb { get; }

    /// <summary>One a tap, then the image.</summary>
    public IReadOnlyList<Layer> Layers { get; }

    /// <summary>
    /// The window for a map that is <paramref name="down"/> times smaller than the deepest: ceil(side/down), at least 1. Windows must be
    /// odd to be centred; [LPL]'s code turns 2 into 3 for opening and into 1 for closing, and other even sides go the same way here.
    /// </summary>
    internal static int Window(double side, double down, bool opening)
    {
        var k = Math.Max((int)Math.Ceiling((side / down) - 1e-9), 1);
        return k % 2 == 1 ? k
            : opening ? k + 1
            : k - 1;
    }

    private static double DepthWeight(LatentPerceptualOptions options, double upscaling, int place) =>
        options.DepthWeighting switch
        {
            DepthWeighting.Inverse => 1 / upscaling,
            DepthWeighting.Exponential => Math.Pow(2, -upscaling),
            DepthWeighting.Uniform => 1,
            _ => options.DepthWeights![place],
        };

    private static FeatureSettings Features(LatentPerceptualOptions o, double down)
    {
        var mask = !o.Mask
            ? null
            : new MaskSettings(
                o.MaskSource ?? MaskSource.Estimate,
                o.Quantile ?? 0.02,
                o.Margin ?? 2,
                Window((o.Closing ?? 3) * o.ResolutionScale, down, opening: false),
                Window((o.Opening ?? 5) * o.ResolutionScale, down, opening: true)
            );
        return new FeatureSettings(o.Normalisation, o.DetachStatistics, mask, o.PixelReduction == PixelReduction.Kept);
    }
}
