using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Torch;

namespace Retouch.Evaluation;

/// <summary>One pass over a set: everything that is asked for, gathered from the same batches.</summary>
internal sealed class SetMeasurement : IDisposable
{
    private readonly EvaluationOptions options;
    private readonly List<double> sharpness = [];
    private readonly List<double> squaredErrors = [];
    private readonly List<double> similarities = [];
    private readonly List<double> perceptual = [];
    private readonly List<double> captioned = [];
    private readonly bool isReference;

    private SetMeasurement(ImageSet set, WaveletPlan? plan, EvaluationOptions options, bool isReference)
    {
        Set = set;
        this.options = options;
        Wavelets = plan is null ? null : new WaveletStatistics(plan, options.Device);
        Spectra = options.Metrics.HasFlag(Metrics.Spectrum)
            ? new SpectrumStatistics(set.Width, set.Height, options.Spectrum, options.Device)
            : null;
        this.isReference = isReference;
        Patches = options.Asks(Metrics.Swd) ? new PatchDescriptors(set, options.SlicedWasserstein) : null;
        Features = options.Networks.Count > 0 ? new FeatureMeasurement(options, set.Count, isReference) : null;
    }

    public ImageSet Set { get; }

    public WaveletStatistics? Wavelets { get; private set; }

    public SpectrumStatistics? Spectra { get; }

    public PatchDescriptors? Patches { get; }

    public FeatureMeasurement? Features { get; }

    public double? Sharpness => sharpness.Count > 0 ? sharpness.Average() : null;

    /// <summary>Reads a set once.</summary>
    /// <param name="set">The set.</param>
    /// <param name="plan">How wavelet packets are taken; null leaves them out.</param>
    /// <param name="partner">The pictures that paired metrics compare with, in the same order; null leaves it out.</param>
    /// <param name="options">What is asked for.</param>
    /// <param name="tick">Called with the pictures of each batch.</param>
    /// <param name="isReference">Whether it is the set that others are compared with.</param>
    public static SetMeasurement Of(
        ImageSet set,
        WaveletPlan? plan,
        ImageSet? partner,
        EvaluationOptions options,
        Action<int> tick,
        bool isReference = false
    )
    {
        var measurement = new SetMeasurement(set, plan, options, isReference);
        try
        {
            ForEachBatch(
                set,
                options,
                tick,
                (images, start) => measurement.Add(start, images, partner?.Read(start, (int)images.Shape[0]).To(options.Device))
            );
        }
        catch
        {
            measurement.Dispose();
            throw;
        }

        return measurement;
    }

    public static void ForEachBatch(ImageSet set, EvaluationOptions options, Action<int> tick, Action<Tensor, int> action)
    {
        for (var start = 0; start < set.Count; start += options.BatchSize)
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            var count = Math.Min(options.BatchSize, set.Count - start);
            action(set.Read(start, count).To(options.Device), start);
            tick(count);
        }
    }

    /// <summary>
    /// The scores of the set, a metric each. Reads the set a second time for the wavelet distance, and frees its statistics.
    /// </summary>
    public List<ImageScores> Scores(SetMeasurement? reference, Action<int> tick, CancellationToken cancellation)
    {
        List<ImageScores> scores = [];
        if (Wavelets is { } wavelets)
            scores.Add(WaveletScores.Of(Set, wavelets, reference!.Wavelets!, options, tick));
        Wavelets?.Dispose();
        Wavelets = null;
        if (Features is not null)
            scores.AddRange(Features.Scores(reference?.Features, cancellation));
        if (Patches is not null)
            scores.Add(SlicedWasserstein.Scores(Patches, reference!.Patches!, options.SlicedWasserstein, options.Device, cancellation));
        if (Spectra is not null)
            scores.Add(SpectrumError.Scores(Spectra, reference!.Spectra!.MeanProfile()));
        if (sharpness.Count > 0)
            scores.Add(ImageScores.Averages([new("sharpness", Preference.None)], [.. sharpness]));
        if (squaredErrors.Count > 0)
        {
            double[] rows = [.. squaredErrors.SelectMany(static error => (IEnumerable<double>)[PixelScores.Psnr(error), error])];
            var equal = squaredErrors.Count(static error => PixelScores.Psnr(error) >= PixelScores.MostPsnr);
            scores.Add(
                ImageScores.Averages(
                    [new("psnr", Preference.Higher), new("mse", Preference.Lower)],
                    rows,
                    equal == 0
                        ? []
                        :
                        [
                            $"{equal} of {squaredErrors.Count} pictures equal their reference; each counts as "
                                + $"{PixelScores.MostPsnr} dB in psnr",
                        ]
                )
            );
        }

        if (similarities.Count > 0)
            scores.Add(ImageScores.Averages([new("ssim", Preference.Higher)], [.. similarities]));
        if (perceptual.Count > 0)
            scores.Add(ImageScores.Averages([new("lpips", Preference.Lower)], [.. perceptual]));
        if (captioned.Count > 0)
            scores.Add(ImageScores.Averages([new("clipscore", Preference.Higher)], [.. captioned]));
        return scores;
    }

    public void Dispose()
    {
        Wavelets?.Dispose();
        Spectra?.Dispose();
        Patches?.Dispose();
        Features?.Dispose();
    }

    private string Caption(int index) =>
        Set.Caption(index)
        ?? throw new InputException(
            $"The picture '{Set.Id(index)}' of '{Set.Name}' has no caption, which clipscore compares it with. Put its prompt into "
                + $"a .txt file beside it or a metadata.jsonl, or leave clipscore out."
        );

    private void Add(int start, Tensor images, Tensor? partner)
    {
        Wavelets?.Add(images);
        Spectra?.Add(images);
        Patches?.Add(start, images);
        Features?.Add(start, images);
        if (options.Metrics.HasFlag(Metrics.Sharpness))
            sharpness.AddRange(PixelScores.Sharpness(images));
        if (options.Asks(Metrics.ClipScore) && !isReference)
            captioned.AddRange(options.ClipScore!.Of(images, [.. Enumerable.Range(start, (int)images.Shape[0]).Select(Caption)]));
        if (partner is null)
            return;
        if (options.Asks(Metrics.Psnr))
            squaredErrors.AddRange(PixelScores.SquaredError(images, partner));
        if (options.Asks(Metrics.Ssim))
            similarities.AddRange(StructuralSimilarity.Of(images, partner));
        if (options.Asks(Metrics.Lpips))
            perceptual.AddRange(options.Perceptual!.Of(images, partner));
    }
}
