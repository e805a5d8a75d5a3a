using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Evaluation.Frequency;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>What the features of one tap are like on real pictures.</summary>
/// <param name="Tap">Its index.</param>
/// <param name="Place">Which tap.</param>
/// <param name="Magnitude">Mean absolute value.</param>
/// <param name="Deviation">Standard deviation within a map, averaged over maps.</param>
/// <param name="Peak">The largest distance from a map's mean in its deviations.</param>
/// <param name="Outliers">Share of pixels that the loss's mask takes for outliers, before its windows; of maps that are not
/// constant.</param>
/// <param name="OutlierEnergy">Share of the maps' variance that those pixels hold.</param>
/// <param name="Constant">Share of maps whose pixels are all alike, as where a ReLU lets nothing through: there is nothing to compare in
/// them.</param>
public sealed record TapFacts(
    int Tap,
    DecoderTap Place,
    double Magnitude,
    double Deviation,
    double Peak,
    double Outliers,
    double OutlierEnergy,
    double Constant
);

/// <summary>How much the estimate of the clean latent is worth at one noise level.</summary>
/// <param name="Time">In [0, 1].</param>
/// <param name="Sigma">σ_t, noise to signal.</param>
/// <param name="LatentError">Squared error of ẑ0 over the variance of z0: 1 is as good as the mean.</param>
/// <param name="Loss">The diffusion loss: mean squared residual of the network's output.</param>
/// <param name="FeatureErrors">Per tap, squared error of the features of ẑ0 over the variance of those of z0.</param>
/// <param name="Perceptual">Per tap, the latent perceptual loss with shared statistics and outlier mask, before any weight.</param>
/// <param name="Bands">Power of the decoded error over that of the decoded picture: low, middle and high third of the frequencies.</param>
public sealed record LevelFacts(
    double Time,
    double Sigma,
    double LatentError,
    double Loss,
    IReadOnlyList<double> FeatureErrors,
    IReadOnlyList<double> Perceptual,
    IReadOnlyList<double> Bands
);

/// <summary>What a decoder's taps and a denoiser's estimates are worth on some pictures.</summary>
/// <param name="Pictures">How many.</param>
/// <param name="Taps">Each tap.</param>
/// <param name="Levels">Each noise level, least noise first.</param>
public sealed record TapStudyResult(int Pictures, IReadOnlyList<TapFacts> Taps, IReadOnlyList<LevelFacts> Levels);

/// <summary>
/// A look at the user's autoencoder, denoiser and pictures before post-training: what the features of each tap are like, and how far the
/// estimate ẑ0 can be trusted at which noise. Both
/// decide where the latent perceptual loss ([LPL] eq. 2) may look.
/// </summary>
public static class TapStudy
{
    /// <summary>The outliers of the loss's defaults, without its windows.</summary>
    internal static readonly MaskSettings Mask = new(MaskSource.Target, 0.02, 2, 1, 1);

    /// <summary>Measures.</summary>
    /// <param name="images">[pictures, 3, height, width] in [−1, 1].</param>
    /// <param name="condition">Condition of each sample.</param>
    /// <param name="pipeline">With its weights on <paramref name="device"/>.</param>
    /// <param name="times">In [0, 1], ascending.</param>
    /// <param name="seed">Of the noise, which is the same at every time.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="progress">Receives the number of completed times and their total.</param>
    /// <param name="cancellation">Ends it between two times.</param>
    public static TapStudyResult Measure(
        Tensor images,
        Condition condition,
        LatentDiffusionPipeline pipeline,
        IReadOnlyList<double> times,
        ulong seed,
        Device device,
        Action<int, int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(condition);
        ArgumentNullException.ThrowIfNull(pipeline);
        ArgumentNullException.ThrowIfNull(times);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var autoencoder = pipeline.Autoencoder;
        var model = pipeline.CreateModel();
        var formulation = model.Formulation;
        using var generator = Generator.Create(Device.Cpu, seed);
        var clean = autoencoder.Encode(images.To(device), generator: null);
        var noise = Ops.Randn(clean.Value.Shape, generator, dtype: DType.Float32).To(device);
        var told = condition.To(device);
        var request = new TapRequest([.. Enumerable.Range(0, autoencoder.Taps.Count)], Rgb: true);
        var target = autoencoder.DecodeWithTaps(clean, request);
        TapFacts[] taps = [.. autoencoder.Taps.Select((tap, k) => Facts(k, tap, target.Features[k]))];
        using var spectrum = new PowerSpectrum((int)images.Shape[3], (int)images.Shape[2], new SpectrumOptions(), device);
        var power = Bands(spectrum, target.Rgb! / 2);
        var variance = (clean.Value - clean.Value.Mean()).Square().Mean().Item();
        List<LevelFacts> levels = [];
        foreach (var time in times)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = TensorScope.Enter();
            var timestep = Math.Min(time * formulation.TrainSteps, formulation.TrainSteps - 1);
            var level = formulation.LevelsAt([.. Enumerable.Repeat(timestep, (int)images.Shape[0])], device);
            var noisy = formulation.AddNoise(clean, noise, level);
            var estimate = model.At(noisy.Value, level, told);
            var decoded = autoencoder.DecodeWithTaps(estimate.Z0, request);
            var errors = target.Features.Zip(decoded.Features, Compare).ToArray();
            levels.Add(
                new LevelFacts(
                    time,
                    formulation.PointAt(timestep).Sigma,
                    (estimate.Z0.Value - clean.Value).Square().Mean().Item() / variance,
                    formulation.Residual(noisy, estimate.Raw).Square().Mean().Item(),
                    [.. errors.Select(static e => e.Relative)],
                    [.. errors.Select(static e => e.Loss)],
                    [.. Bands(spectrum, (decoded.Rgb! - target.Rgb!) / 2).Zip(power, static (e, p) => e / p)]
                )
            );
            progress?.Invoke(levels.Count, times.Count);
        }

        return new TapStudyResult((int)images.Shape[0], taps, levels);
    }

    /// <summary>What features are like.</summary>
    /// <param name="tap">The index.</param>
    /// <param name="place">Which tap.</param>
    /// <param name="features">[batch, channels, height, width].</param>
    internal static TapFacts Facts(int tap, DecoderTap place, Tensor features)
    {
        using var scope = TensorScope.Enter();
        var x = features.To(DType.Float32);
        var kept = OutlierMask.Compute(x, Mask);
        var centred = x - x.Mean([2L, 3], keepdim: true);
        var squares = centred.Square();
        var variance = squares.Mean([2L, 3], keepdim: true);
        var peak = (squares / (variance + FeatureLoss.VarianceFloor)).Amax([0L, 1, 2, 3]).Item();
        // The mask leaves all of a constant map out: nothing in it lies within twice a deviation of 0.
        var varied = (x.Amax([2L, 3], keepdim: true) - x.Amin([2L, 3], keepdim: true)).Sign();
        var outliers = ((1 - kept) * varied).Sum().Item() / Math.Max(varied.Sum().Item() * x.Shape[2] * x.Shape[3], 1);
        return new TapFacts(
            tap,
            place,
            x.Abs().Mean().Item(),
            variance.Sqrt().Mean().Item(),
            Math.Sqrt(peak),
            outliers,
            1 - ((squares * kept).Sum().Item() / Math.Max(squares.Sum().Item(), double.Epsilon)),
            1 - varied.Mean().Item()
        );
    }

    private static (double Relative, double Loss) Compare(Tensor target, Tensor estimate)
    {
        using var scope = TensorScope.Enter();
        var (a, b) = (target.To(DType.Float32), estimate.To(DType.Float32));
        var spread = (a - a.Mean([2L, 3], keepdim: true)).Square().Mean().Item();
        var settings = new FeatureSettings(
            Normalisation.Standardise,
            StatisticsSource.Estimate,
            Through: 0,
            LatentPerceptualOptions.DefaultVarianceFloor,
            FeatureDifference.Squared,
            Mask with
            {
                Source = MaskSource.Estimate,
            },
            Kept: false
        );
        return ((a - b).Square().Mean().Item() / spread, FeatureLoss.Compare(a, b, settings).Loss.Mean().Item());
    }

    private static double[] Bands(PowerSpectrum spectrum, Tensor images)
    {
        var profile = spectrum.Profile(spectrum.Power(images)).Mean([0L]).To(Device.Cpu).ToArray<double>();
        return
        [
            .. Enumerable
                .Range(0, 3)
                .Select(band =>
                    profile.Where((_, k) => SpectrumError.Band(k + 1, profile.Length) == band).DefaultIfEmpty(double.NaN).Average()
                ),
        ];
    }
}
