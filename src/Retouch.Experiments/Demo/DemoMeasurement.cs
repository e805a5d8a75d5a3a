using Retouch.Autoencoders;
using Retouch.Data;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Phases;
using Retouch.Experiments.Sampling;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Experiments.Demo;

/// <summary>What was measured.</summary>
/// <param name="Arms">The arms; the first is the latent loss alone, the baseline of all differences.</param>
/// <param name="AgainstBefore">The model before and the arms; the first is the baseline.</param>
/// <param name="OtherReal">Other real pictures, measured like samples: where a perfect model would be. Null where there are too
/// few.</param>
/// <param name="Reconstruction">The held-out pictures through the autoencoder: what no denoiser over it can exceed.</param>
public sealed record DemoMeasurement(EvaluationResult Arms, EvaluationResult AgainstBefore, SetResult? OtherReal, SetResult Reconstruction)
{
    /// <summary>Measures everything.</summary>
    public static DemoMeasurement Take(DemoSettings settings, DemoFolder folder, PhaseConsole console)
    {
        console.Heading("Measuring the pictures against the held-out ones");
        var device = settings.Where();
        var options = new EvaluationOptions
        {
            Bootstrap = new BootstrapOptions { Seed = settings.Seed },
            Device = device,
        };
        using var progress = console.Measuring();
        EvaluationResult Measure(ImageSet reference, IReadOnlyList<ImageSet> sets, IReadOnlyList<IMetric> metrics) =>
            Evaluator.Evaluate(reference, sets, options with { Metrics = metrics }, progress.Report, console.Cancellation);

        var usual = MetricCatalog.Of(MetricCatalog.Usual);
        var reference = Set("held-out", folder.HeldOut);
        var before = Set(DemoArm.Base.Name, folder.Samples(DemoArm.Base.Key));
        ImageSet[] arms = [.. DemoArm.All.Select(arm => Set(arm.Name, folder.Samples(arm.Key)))];
        var result = Measure(reference, arms, usual);
        foreach (var warning in result.Warnings)
            console.Say("warning: " + warning);
        var against = Measure(reference, [before, .. arms], usual);
        var other = SampledFolder.IsWhole(folder.OtherReal)
            ? Measure(reference, [Set("other real pictures", folder.OtherReal)], usual).Sets[0]
            : null;
        using var vae = ComponentFolder.Load(Path.Combine(folder.Base, "vae"), device);
        var again = new ReconstructedImages(reference, (IAutoencoder)vae.Network, device);
        return new DemoMeasurement(result, against, other, Measure(reference, [again], [.. usual, new PsnrMetric()]).Sets[0]);
    }

    private static ImageSet Set(string name, string folder) => ImageSet.From(name, ImageFolder.Open(folder));
}

/// <summary>Shorthands for figures.</summary>
internal static class FigureExtensions
{
    /// <summary>A figure by its name.</summary>
    public static Figure Of(this SetResult set, string name) => set.Figures.First(figure => figure.Name == name);

    /// <summary>Half the width of a figure's interval.</summary>
    public static double Half(this Figure figure) => (figure.Interval.High - figure.Interval.Low) / 2;

    /// <summary>The difference of a set's figure to the baseline.</summary>
    public static Difference? DifferenceOf(this EvaluationResult result, string set, string figure) =>
        result.Differences.FirstOrDefault(d => d.Set == set && d.Figure == figure);
}
