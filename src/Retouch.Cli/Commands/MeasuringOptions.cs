using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Patches;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary>Shared options of <c>evaluate</c> and <c>compare</c>: metrics, pictures, and confidence intervals.</summary>
internal sealed class MeasuringOptions
{
    private readonly Option<string?> reference = new("--reference")
    {
        Description = "Folder of real pictures; for psnr, of the originals. Not needed for fid with --statistics.",
    };
    private readonly Option<string> metrics = new("--metrics")
    {
        Description = $"Any of {string.Join("; ", MetricCatalog.All.Select(static m => $"{m.Name} ({m.Title})"))}.",
        DefaultValueFactory = _ => string.Join(',', MetricCatalog.Usual),
    };
    private readonly Option<int?> level = new("--level")
    {
        Description = "Level of the wavelet packets of fwd. By default 4, less for small pictures, more for very large ones.",
    };
    private readonly Option<int?> neighbours = new("--neighbours")
    {
        Description = $"For prdc: k of the neighbour that sets the radius of a ball. Default {new PrecisionRecallOptions().Neighbours}.",
    };
    private readonly Option<BallRule?> rule = new("--ball")
    {
        Description = "For prdc: open (distance < radius, as the prdc package) or closed (<=, as torch-fidelity). Default open.",
    };
    private readonly Option<int?> subsets = new("--kid-subsets")
    {
        Description = $"For kid: number of subsets. Default {new KernelDistanceOptions().Subsets}.",
    };
    private readonly Option<int?> subsetSize = new("--kid-subset-size")
    {
        Description = $"For kid: pictures per subset. Default {new KernelDistanceOptions().SubsetSize}, less for smaller sets.",
    };
    private readonly Option<int?> directions = new("--directions")
    {
        Description = $"For swd: random directions. Default {new SlicedWassersteinOptions().Directions}.",
    };
    private readonly Option<string?> maps = new("--maps")
    {
        Description =
            "For spectrum: folder for the difference of each set's two-dimensional spectrum to the reference's, and to the first set's, as "
            + ".npy and .png.",
    };
    private readonly Option<int> resamples = new("--resamples")
    {
        Description = "Bootstrap resamples.",
        DefaultValueFactory = _ => new BootstrapOptions().Resamples,
    };
    private readonly Option<double> confidence = new("--confidence")
    {
        Description = "Confidence of the intervals.",
        DefaultValueFactory = _ => new BootstrapOptions().Confidence,
    };
    private readonly Option<double> smallest = new("--smallest-difference")
    {
        Description = "With several sets: smallest difference with a verdict (better or worse), as a fraction of the first set's figure.",
        DefaultValueFactory = _ => VerdictRule.Smallest,
    };
    private readonly Option<int> batch = new("--batch-size")
    {
        Description = "Batch size.",
        DefaultValueFactory = _ => new EvaluationOptions().BatchSize,
    };

    private readonly PreparationOptions preparing = new();
    private readonly NetworkOptions networks = new();

    /// <summary>The report.</summary>
    public ReportOptions Report { get; } = new();

    /// <param name="command">The verb.</param>
    /// <param name="compares">Whether it compares sets with each other.</param>
    public void AddTo(Command command, bool compares = false)
    {
        if (compares)
            command.Add(smallest);
        foreach (
            Option option in (Option[])
                [
                    reference,
                    metrics,
                    level,
                    neighbours,
                    rule,
                    subsets,
                    subsetSize,
                    directions,
                    maps,
                    resamples,
                    confidence,
                    batch,
                    SharedOptions.Device,
                ]
        )
            command.Add(option);
        preparing.AddTo(command);
        networks.AddTo(command);
        Report.AddTo(command);
    }

    /// <summary>The reference's pictures, or null where none are given.</summary>
    public ImageSet? Reference(ParseResult parsed) =>
        parsed.GetValue(reference) is { } folder ? ImageSet.Open(folder, Preparation(parsed)) : null;

    public SetPreparation Preparation(ParseResult parsed) => preparing.Read(parsed);

    /// <summary>The options, with the networks that they name opened.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="opened">Receives networks to dispose of after the evaluation.</param>
    /// <exception cref="UsageException">A metric is unknown, or an option out of range.</exception>
    public EvaluationOptions Evaluation(ParseResult parsed, List<IDisposable> opened)
    {
        var asked = MetricCatalog.Of(
            parsed.GetValue(metrics)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        );
        Report.Check(parsed);
        Refuse<WaveletDistanceMetric>(parsed, asked, level);
        Refuse<PrecisionRecallMetric>(parsed, asked, neighbours, rule);
        Refuse<KernelDistanceMetric>(parsed, asked, subsets, subsetSize);
        Refuse<SlicedWassersteinMetric>(parsed, asked, directions);
        Refuse<SpectrumMetric>(parsed, asked, maps);
        networks.Check(parsed, asked);
        var where = parsed.GetDevice();
        var options = new EvaluationOptions
        {
            Metrics = [.. asked.Select(metric => networks.Configure(parsed, Configure(parsed, metric), where, opened))],
            Networks = networks.Networks(parsed, where, opened, asked),
            Bootstrap = new BootstrapOptions
            {
                Resamples = parsed.GetValue(resamples),
                Confidence = parsed.GetValue(confidence),
                Seed = preparing.Seed(parsed),
            },
            // Not among the options of a verb that compares nothing.
            SmallestDifference = parsed.CommandResult.Command.Options.Contains(smallest) ? parsed.GetValue(smallest) : VerdictRule.Smallest,
            BatchSize = parsed.GetValue(batch),
            Device = where,
        };
        options.Validate();
        return options;
    }

    /// <summary>Writes the maps of spectra if requested.</summary>
    public void SaveMaps(ParseResult parsed, EvaluationResult result)
    {
        if (parsed.GetValue(maps) is not { } folder)
            return;
        for (var k = 0; k < result.Sets.Count; k++)
        {
            var name = string.Concat(
                Path.GetFileName(Path.TrimEndingDirectorySeparator(result.Sets[k].Name))
                    .Select(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '-')
            );
            var map = result.Sets[k].SpectrumMap!;
            SpectrumMap.Save(map, Path.Combine(folder, $"spectrum-{k + 1}-{name}"));
            if (k > 0)
                SpectrumMap.Save(
                    SpectrumMap.Difference(map, result.Sets[0].SpectrumMap!),
                    Path.Combine(folder, $"spectrum-{k + 1}-{name}-less-the-first"),
                    SpectrumMap.DifferenceRange
                );
        }
    }

    /// <summary>A metric with the options of the command line.</summary>
    private IMetric Configure(ParseResult parsed, IMetric metric) =>
        metric switch
        {
            WaveletDistanceMetric fwd => fwd with { Level = parsed.GetValue(level) },
            PrecisionRecallMetric { Options: var prdc } => new PrecisionRecallMetric
            {
                Options = prdc with
                {
                    Neighbours = parsed.GetValue(neighbours) ?? prdc.Neighbours,
                    Rule = parsed.GetValue(rule) ?? prdc.Rule,
                },
            },
            SlicedWassersteinMetric { Options: var swd } => new SlicedWassersteinMetric
            {
                Options = swd with { Directions = parsed.GetValue(directions) ?? swd.Directions, Seed = preparing.Seed(parsed) },
            },
            KernelDistanceMetric { Options: var kid } => new KernelDistanceMetric
            {
                Options = kid with
                {
                    Subsets = parsed.GetValue(subsets) ?? kid.Subsets,
                    SubsetSize = parsed.GetValue(subsetSize) ?? kid.SubsetSize,
                    Seed = preparing.Seed(parsed),
                },
            },
            _ => metric,
        };

    private static void Refuse<T>(ParseResult parsed, IReadOnlyList<IMetric> asked, params Option[] options)
        where T : IMetric, new()
    {
        if (!asked.OfType<T>().Any() && options.FirstOrDefault(o => parsed.GetResult(o) is not null) is { } inert)
            throw new UsageException($"{inert.Name} is for {new T().Name}, which is not asked for (--metrics).");
    }
}
