using Retouch.Autoencoders;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>One layer of the loss.</summary>
/// <param name="Name"><c>tap0</c>, <c>tap1</c>, … or <c>rgb</c>.</param>
/// <param name="Weight">ω_l.</param>
/// <param name="Features">Comparison settings.</param>
internal sealed record Layer(string Name, double Weight, FeatureSettings Features);

/// <summary>Comparison settings of one layer.</summary>
/// <param name="Normalisation">Feature normalisation.</param>
/// <param name="Statistics">Source of statistics or norms.</param>
/// <param name="Through">Factor on the statistics' gradient, in [0, 1].</param>
/// <param name="Floor">Fraction of the target's variance added to a variance.</param>
/// <param name="Difference">Squared or absolute difference.</param>
/// <param name="Mask">Outlier mask settings; null for no mask.</param>
/// <param name="Kept">Divide the sum over pixels by the number of unmasked pixels instead of all.</param>
internal sealed record FeatureSettings(
    Normalisation Normalisation,
    StatisticsSource Statistics,
    double Through,
    double Floor,
    FeatureDifference Difference,
    MaskSettings? Mask,
    bool Kept
)
{
    /// <summary>
    /// Fraction of the mean variance of the layer's target maps, of the same sample, added to a variance. For statistics of the target,
    /// whose own variance is no floor.
    /// </summary>
    public double LayerFloor { get; init; }
}

/// <summary>Outlier mask settings of one layer.</summary>
/// <param name="Source">Features that the mask is computed from.</param>
/// <param name="Quantile">Fraction of the pixels outside either quantile.</param>
/// <param name="Margin">Margin beyond the quantiles, in standard deviations.</param>
/// <param name="Closing">Side of the max-pool window on the mask, odd.</param>
/// <param name="Opening">Side of the min-pool window that follows, odd.</param>
internal sealed record MaskSettings(MaskSource Source, double Quantile, double Margin, int Closing, int Opening);

/// <summary>The layers of the loss for one decoder.</summary>
internal sealed class LayerPlan
{
    /// <param name="options">Validated options.</param>
    /// <param name="autoencoder">Provides the decoder taps.</param>
    /// <param name="resolution">Scale of the windows.</param>
    public LayerPlan(LatentPerceptualOptions options, IAutoencoder autoencoder, double resolution)
    {
        var all = autoencoder.Taps;
        Taps = [.. options.Taps ?? LatentPerceptualOptions.DefaultTaps(all.Count, options.LastTap)];
        Rgb = options.Rgb;
        // Relative to the whole decoder, not to the requested taps: the loss of a layer must not depend on the other layers.
        double first = all[0].Scale,
            deepest = Math.Max(all.Max(static t => t.Scale), Rgb ? autoencoder.Downsampling : 0);
        List<(string Name, int Tap, double Scale)> places = [.. Taps.Select(t => ($"tap{t}", t, (double)all[t].Scale))];
        if (Rgb)
            places.Add(("rgb", all.Count, autoencoder.Downsampling));
        var share = options.LayerReduction == LayerReduction.Mean ? 1.0 / places.Count : 1;
        Layers =
        [
            .. places.Select(
                (p, k) =>
                    new Layer(
                        p.Name,
                        share * DepthWeight(options, p.Scale / first, k),
                        Features(options, p.Tap, deepest / p.Scale, resolution)
                    )
            ),
        ];
    }

    /// <summary>Tap indices, ascending.</summary>
    public int[] Taps { get; }

    /// <summary>Whether the image is the last layer.</summary>
    public bool Rgb { get; }

    /// <summary>One layer per tap, then the image.</summary>
    public IReadOnlyList<Layer> Layers { get; }

    /// <summary>
    /// Window side for a map that is <paramref name="down"/> times smaller than the deepest: ceil(side/down), at least 1. Windows must be
    /// odd to be centred; [LPL]'s code turns 2 into 3 for opening and into 1 for closing, and this function rounds other even sides the
    /// same way.
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

    /// <summary>Comparison settings of a layer.</summary>
    /// <param name="o">Validated options.</param>
    /// <param name="tap">Index of the tap.</param>
    /// <param name="down">How much smaller the map is than the deepest.</param>
    /// <param name="resolution">Scale of the windows.</param>
    internal static FeatureSettings Features(LatentPerceptualOptions o, int tap, double down, double resolution)
    {
        var mask =
            !o.Mask || tap < (o.MaskFromTap ?? 0)
                ? null
                : new MaskSettings(
                    o.MaskSource ?? MaskSource.Estimate,
                    o.Quantile ?? 0.02,
                    o.Margin ?? 2,
                    Window((o.Closing ?? 3) * resolution, down, opening: false),
                    Window((o.Opening ?? 5) * resolution, down, opening: true)
                );
        var floor = o.VarianceFloor ?? LatentPerceptualOptions.DefaultVarianceFloor;
        var byTarget = o is { Normalisation: Normalisation.Standardise, Statistics: StatisticsSource.Target };
        return new FeatureSettings(
            o.Normalisation,
            o.Statistics,
            o.StatisticsGradient ?? LatentPerceptualOptions.DefaultStatisticsGradient,
            byTarget ? 0 : floor,
            o.Difference,
            mask,
            o.PixelReduction == PixelReduction.Kept
        )
        {
            LayerFloor = byTarget ? floor : 0,
        };
    }
}
