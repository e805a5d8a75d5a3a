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
using Retouch.Training.Distributed;

namespace Retouch.Cli.Commands;

/// <summary>Shared options of <c>evaluate</c> and <c>compare</c>: metrics, pictures, and confidence intervals.</summary>
internal sealed class MeasuringOptions
{
    private readonly Option<string?> _reference = new("--reference")
    {
        Description = "Folder of reference pictures; for psnr, of the originals. Not needed for fid with --statistics.",
    };
    private readonly Option<string> _metrics = new("--metrics")
    {
        Description = $"Any of {string.Join("; ", MetricCatalog.All.Select(static m => $"{m.Name} ({m.Title})"))}.",
        DefaultValueFactory = _ => string.Join(',', MetricCatalog.Usual),
    };
    private readonly Option<int?> _level = new("--level")
    {
        Description = "Level of the wavelet packets of fwd. Default: 4, lower for small pictures, higher for very large ones.",
    };
    private readonly Option<int?> _neighbours = new("--neighbours")
    {
        Description =
            $"For prdc: number of neighbours k that defines the radius of a ball. Default {new PrecisionRecallOptions().Neighbours}.",
    };
    private readonly Option<BallRule?> _rule = SharedOptions.Choice<BallRule>(
        "--ball",
        "For prdc: open (distance < radius, as in the prdc package) or closed (<=, as in torch-fidelity). Default: open."
    );
    private readonly Option<int?> _subsets = new("--kid-subsets")
    {
        Description = $"For kid: number of subsets. Default {new KernelDistanceOptions().Subsets}.",
    };
    private readonly Option<int?> _subsetSize = new("--kid-subset-size")
    {
        Description = $"For kid: pictures per subset. Default {new KernelDistanceOptions().SubsetSize}, fewer for smaller sets.",
    };
    private readonly Option<int?> _directions = new("--directions")
    {
        Description = $"For swd: number of random directions. Default {new SlicedWassersteinOptions().Directions}.",
    };
    private readonly Option<string?> _maps = new("--maps")
    {
        Description =
            "For spectrum: folder for the difference of each set's two-dimensional spectrum to the reference's, and to the first set's, as "
            + ".npy and .png.",
    };
    private readonly Option<int> _resamples = new("--resamples")
    {
        Description = "Number of bootstrap resamples.",
        DefaultValueFactory = _ => new BootstrapOptions().Resamples,
    };
    private readonly Option<double> _confidence = new("--confidence")
    {
        Description = "Confidence of the intervals.",
        DefaultValueFactory = _ => new BootstrapOptions().Confidence,
    };
    private readonly Option<double> _smallest = new("--smallest-difference")
    {
        Description = "With several sets: smallest difference with a verdict (better or worse), as a fraction of the first set's figure.",
        DefaultValueFactory = _ => VerdictRule.Smallest,
    };
    private readonly Option<int> _batch = SharedOptions.BatchSize(new EvaluationOptions().BatchSize);

    private readonly PreparationOptions _preparing = new();
    private readonly NetworkOptions _networks = new();

    /// <summary>Number of processes.</summary>
    public Option<int?> Processes { get; } =
        ProcessFlag.Create(
            "Extract the features of networks with this number of processes on this machine, which take the batches in turn. See "
                + "docs/scaling.md for other launchers."
        );

    /// <summary>Report options.</summary>
    public ReportOptions Report { get; } = new();

    /// <param name="command">Verb.</param>
    /// <param name="compares">Whether the verb compares sets with each other.</param>
    public void AddTo(Command command, bool compares = false)
    {
        if (compares)
            command.Add(_smallest);
        foreach (
            Option option in (Option[])
                [
                    _reference,
                    _metrics,
                    _level,
                    _neighbours,
                    _rule,
                    _subsets,
                    _subsetSize,
                    _directions,
                    _maps,
                    _resamples,
                    _confidence,
                    _batch,
                    SharedOptions.Device,
                    Processes,
                ]
        )
            command.Add(option);
        _preparing.AddTo(command);
        _networks.AddTo(command);
        Report.AddTo(command);
    }

    /// <summary>Reference pictures, or null.</summary>
    public ImageSet? Reference(ParseResult parsed) =>
        parsed.GetValue(_reference) is { } folder ? ImageSet.Open(folder, Preparation(parsed)) : null;

    public SetPreparation Preparation(ParseResult parsed) => _preparing.Read(parsed);

    /// <summary>Options of the evaluation, with opened networks.</summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="world">Processes that measure together; null for a single one.</param>
    /// <param name="opened">Receives the networks to dispose of after the evaluation.</param>
    /// <exception cref="UsageException">A metric is unknown, or an option out of range.</exception>
    public EvaluationOptions Evaluation(ParseResult parsed, World? world, List<IDisposable> opened)
    {
        var asked = MetricCatalog.Of(
            parsed.GetValue(_metrics)!.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        );
        Report.Check(parsed);
        Refuse<WaveletDistanceMetric>(parsed, asked, _level);
        Refuse<PrecisionRecallMetric>(parsed, asked, _neighbours, _rule);
        Refuse<KernelDistanceMetric>(parsed, asked, _subsets, _subsetSize);
        Refuse<SlicedWassersteinMetric>(parsed, asked, _directions);
        Refuse<SpectrumMetric>(parsed, asked, _maps);
        _networks.Check(parsed, asked);
        var where = parsed.GetDevice(world);
        var options = new EvaluationOptions
        {
            Metrics = [.. asked.Select(metric => _networks.Configure(parsed, Configure(parsed, metric), where, opened))],
            Networks = _networks.Networks(parsed, where, opened, asked),
            Bootstrap = new BootstrapOptions
            {
                Resamples = parsed.GetValue(_resamples),
                Confidence = parsed.GetValue(_confidence),
                Seed = _preparing.Seed(parsed),
            },
            // Only verbs that compare sets have the option.
            SmallestDifference = parsed.CommandResult.Command.Options.Contains(_smallest)
                ? parsed.GetValue(_smallest)
                : VerdictRule.Smallest,
            BatchSize = parsed.GetValue(_batch),
            Device = where,
            Peers = world,
        };
        options.Validate();
        return options;
    }

    /// <summary>Writes maps of the spectra, if requested.</summary>
    public void SaveMaps(ParseResult parsed, EvaluationResult result)
    {
        if (parsed.GetValue(_maps) is not { } folder)
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

    /// <summary>Metric with the options of the command line.</summary>
    private IMetric Configure(ParseResult parsed, IMetric metric) =>
        metric switch
        {
            WaveletDistanceMetric fwd => fwd with { Level = parsed.GetValue(_level) },
            PrecisionRecallMetric { Options: var prdc } => new PrecisionRecallMetric
            {
                Options = prdc with
                {
                    Neighbours = parsed.GetValue(_neighbours) ?? prdc.Neighbours,
                    Rule = parsed.GetValue(_rule) ?? prdc.Rule,
                },
            },
            SlicedWassersteinMetric { Options: var swd } => new SlicedWassersteinMetric
            {
                Options = swd with { Directions = parsed.GetValue(_directions) ?? swd.Directions, Seed = _preparing.Seed(parsed) },
            },
            KernelDistanceMetric { Options: var kid } => new KernelDistanceMetric
            {
                Options = kid with
                {
                    Subsets = parsed.GetValue(_subsets) ?? kid.Subsets,
                    SubsetSize = parsed.GetValue(_subsetSize) ?? kid.SubsetSize,
                    Seed = _preparing.Seed(parsed),
                },
            },
            _ => metric,
        };

    private static void Refuse<T>(ParseResult parsed, IReadOnlyList<IMetric> asked, params Option[] options)
        where T : IMetric, new()
    {
        if (!asked.OfType<T>().Any() && options.FirstOrDefault(o => parsed.GetResult(o) is not null) is { } inert)
            throw new UsageException($"{inert.Name} has an effect only with the metric {new T().Name} (--metrics).");
    }
}
