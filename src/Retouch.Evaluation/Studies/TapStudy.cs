using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Evaluation.Frequency;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>Statistics of one tap's features on real pictures.</summary>
/// <param name="Tap">Index of the tap.</param>
/// <param name="Place">Position of the tap in the decoder.</param>
/// <param name="Magnitude">Mean absolute value.</param>
/// <param name="Deviation">Standard deviation within a map, averaged over maps.</param>
/// <param name="Peak">Largest deviation from a map's mean, in standard deviations of the map.</param>
/// <param name="Outliers">Share of outliers by the loss's mask, before its windows, in maps that are not constant.</param>
/// <param name="OutlierEnergy">Share of the maps' variance due to outliers.</param>
/// <param name="Constant">Share of constant maps, such as those of an inactive ReLU, which have no information.</param>
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

/// <summary>Accuracy of the x0 prediction at one noise level.</summary>
/// <param name="Time">Timestep in [0, 1].</param>
/// <param name="Sigma">Noise level σ_t.</param>
/// <param name="LatentError">Squared error of ẑ0 over the variance of z0; 1 for a constant prediction of the mean.</param>
/// <param name="Loss">Diffusion loss: mean squared error of the network's output.</param>
/// <param name="FeatureErrors">Per tap: squared error of the features of ẑ0 over the variance of those of z0.</param>
/// <param name="Perceptual">Per tap: unweighted latent perceptual loss with shared statistics and outlier mask.</param>
/// <param name="Bands">Power of the decoded error over that of the decoded picture, for the low, middle and high third of the
/// frequencies.</param>
/// <param name="Alignment">Cosine of the gradients at ẑ0 of the latent perceptual loss and of the squared error, averaged over samples: 1
/// if the perceptual loss asks for the same correction as the diffusion loss.</param>
public sealed record LevelFacts(
    double Time,
    double Sigma,
    double LatentError,
    double Loss,
    IReadOnlyList<double> FeatureErrors,
    IReadOnlyList<double> Perceptual,
    IReadOnlyList<double> Bands,
    double Alignment
);

/// <summary>Decoder taps and x0 predictions on a set of pictures.</summary>
/// <param name="Pictures">Number of pictures.</param>
/// <param name="Taps">Statistics of each tap.</param>
/// <param name="Levels">Noise levels, ascending.</param>
public sealed record TapStudyResult(int Pictures, IReadOnlyList<TapFacts> Taps, IReadOnlyList<LevelFacts> Levels);

/// <summary>
/// Analysis of the user's autoencoder, denoiser and pictures before post-training: statistics of each tap's features, and accuracy of
/// the estimate ẑ0 by noise level. Both determine useful taps and gates of the latent perceptual loss ([LPL] eq. 2).
/// </summary>
public static class TapStudy
{
    /// <summary>Default outlier mask of the loss, without its windows.</summary>
    internal static readonly MaskSettings Mask = new(MaskSource.Target, 0.02, 2, 1, 1);

    /// <summary>Runs the study.</summary>
    /// <param name="images">[pictures, 3, height, width] in [−1, 1].</param>
    /// <param name="condition">Condition of each sample.</param>
    /// <param name="pipeline">Pipeline on <paramref name="device"/>.</param>
    /// <param name="times">Timesteps in [0, 1], ascending.</param>
    /// <param name="seed">Seed of the noise, which is the same at every timestep.</param>
    /// <param name="device">Device of the computation.</param>
    /// <param name="progress">Receives the number of completed timesteps and their total.</param>
    /// <param name="cancellation">Cancels between timesteps.</param>
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
                    [.. Bands(spectrum, (decoded.Rgb! - target.Rgb!) / 2).Zip(power, static (e, p) => e / p)],
                    Alignment(autoencoder, clean.Value, estimate.Z0.Value)
                )
            );
            progress?.Invoke(levels.Count, times.Count);
        }

        return new TapStudyResult((int)images.Shape[0], taps, levels);
    }

    /// <summary>Statistics of a tap's features.</summary>
    /// <param name="tap">Index of the tap.</param>
    /// <param name="place">Position of the tap.</param>
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
        // The mask excludes all pixels of a constant map, since none lies within twice a deviation of 0.
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

    /// <summary>Mean cosine of the gradients of the latent perceptual loss, with default options, and of the squared error.</summary>
    /// <param name="autoencoder">Provides the decoder.</param>
    /// <param name="target">z0 [batch, channels, height, width].</param>
    /// <param name="estimate">ẑ0 of the same shape.</param>
    internal static double Alignment(IAutoencoder autoencoder, Tensor target, Tensor estimate)
    {
        // Gradients keep the decoder's activations.
        const int AtOnce = 4;
        var sum = 0.0;
        for (var start = 0L; start < target.Shape[0]; start += AtOnce)
        {
            using var scope = TensorScope.Enter();
            using var recorded = Autograd.WithGrad();
            var count = Math.Min(AtOnce, target.Shape[0] - start);
            var (a, leaf) = (target.Narrow(0, start, count), estimate.Narrow(0, start, count).Detach().Clone());
            leaf.RequiresGrad = true;
            var losses = LatentPerceptualLoss.PerSample(autoencoder, new Latent(a), new Latent(leaf));
            var gradient = Autograd.Grad([losses.Sum()], [leaf])[0]!.Flatten(1).To(DType.Float64);
            var error = (leaf.Detach() - a).Flatten(1).To(DType.Float64);
            var norms = (gradient.Square().Sum([1L]) * error.Square().Sum([1L])).Sqrt();
            sum += ((gradient * error).Sum([1L]) / norms.Clamp(min: double.Epsilon)).Sum().Item();
        }

        return sum / target.Shape[0];
    }

    private static (double Relative, double Loss) Compare(Tensor target, Tensor estimate)
    {
        using var scope = TensorScope.Enter();
        var (a, b) = (target.To(DType.Float32), estimate.To(DType.Float32));
        var spread = (a - a.Mean([2L, 3], keepdim: true)).Square().Mean().Item();
        // Without mask windows, whose sides depend on the layer.
        var settings = LayerPlan.Features(new() { Opening = 1, Closing = 1 }, tap: 0, down: 1, resolution: 1);
        return ((a - b).Square().Mean().Item() / spread, LatentPerceptualObjective.Compare(a, b, settings).Values.Mean().Item());
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
