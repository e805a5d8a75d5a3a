using Retouch.Data;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Phases;
using Retouch.Experiments.Sampling;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Experiments.Demo;

/// <summary>Measurements of a demo.</summary>
/// <param name="Arms">Evaluation of the arms; the baseline is the arm with the diffusion loss only.</param>
/// <param name="AgainstBefore">Evaluation of initial model and arms; the baseline is the initial model.</param>
/// <param name="OtherReal">A second set of real pictures, evaluated like samples: the score of a perfect model. Null with too few
/// pictures.</param>
/// <param name="Reconstruction">Held-out pictures encoded and decoded: the bound of all denoisers with this autoencoder.</param>
public sealed record DemoMeasurement(EvaluationResult Arms, EvaluationResult AgainstBefore, SetResult? OtherReal, SetResult Reconstruction)
{
    /// <summary>Decisive figure: the Fréchet distance of class features if there is a network for the pictures, otherwise the Fréchet
    /// wavelet distance.</summary>
    public string Decisive =>
        Arms.Sets[0].Figures.FirstOrDefault(static f => f.Name.StartsWith("fd.", StringComparison.Ordinal))?.Name ?? "fwd";

    /// <summary>Runs all measurements.</summary>
    public static DemoMeasurement Take(DemoSettings settings, DemoFolder folder, PhaseConsole console)
    {
        console.Heading("Evaluating the samples against the held-out pictures");
        var device = settings.Where();
        // The feature network is specific to the classes of procedural scenes.
        using var features = settings.Data is null ? RetouchFeatures.Open(DemoRecipes.Features(), device) : null;
        var options = new EvaluationOptions
        {
            Bootstrap = new BootstrapOptions { Seed = settings.Seed },
            Device = device,
            Networks = features is null ? [] : [features],
        };
        using var progress = console.Measuring();
        EvaluationResult Measure(ImageSet reference, IReadOnlyList<ImageSet> sets, IReadOnlyList<IMetric> metrics) =>
            Evaluator.Evaluate(reference, sets, options with { Metrics = metrics }, progress.Report, console.Cancellation);

        var usual = MetricCatalog.Of([.. MetricCatalog.Usual, .. features is null ? [] : (string[])["fd", "prdc"]]);
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
        using var autoencoder = ComponentFolder.LoadAutoencoder(folder.Base, device);
        var again = new ReconstructedImages(reference, autoencoder, device);
        return new DemoMeasurement(result, against, other, Measure(reference, [again], [.. usual, new PsnrMetric()]).Sets[0]);
    }

    private static ImageSet Set(string name, string folder) => ImageSet.From(name, ImageFolder.Open(folder));
}

/// <summary>Access to figures by name.</summary>
internal static class FigureExtensions
{
    /// <summary>Figure of a name.</summary>
    public static Figure Of(this SetResult set, string name) => set.Figures.First(figure => figure.Name == name);

    /// <summary>Half-width of a figure's interval.</summary>
    public static double Half(this Figure figure) => (figure.Interval.High - figure.Interval.Low) / 2;

    /// <summary>Difference of a set's figure to the baseline.</summary>
    public static Difference? DifferenceOf(this EvaluationResult result, string set, string figure) =>
        result.Differences.FirstOrDefault(d => d.Set == set && d.Figure == figure);
}
