using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Evaluation;
using Retouch.Evaluation.Features;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary>Shared options of <c>evaluate</c> and <c>compare</c>: metrics, pictures, and confidence intervals.</summary>
internal sealed class MeasuringOptions
{
    private const string DefaultMetrics = "fwd,spectrum,sharpness";

    private readonly Option<string?> reference = new("--reference")
    {
        Description = "Folder of real pictures; for psnr, of the originals. Not needed for fid with --statistics.",
    };
    private readonly Option<string> metrics = new("--metrics")
    {
        Description = "Any of fwd, spectrum, sharpness, psnr, ssim, lpips, clipscore, swd, fid, fd, kid, prdc.",
        DefaultValueFactory = _ => DefaultMetrics,
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
        var asked = ReadMetrics(parsed.GetValue(metrics)!);
        Report.Check(parsed);
        Refuse(parsed, asked, Metrics.Prdc, "prdc", neighbours, rule);
        Refuse(parsed, asked, Metrics.Kid, "kid", subsets, subsetSize);
        Refuse(parsed, asked, Metrics.Swd, "swd", directions);
        Refuse(parsed, asked, Metrics.Spectrum, "spectrum", maps);
        var where = parsed.GetDevice();
        var (prdc, kernel, sliced) = (new PrecisionRecallOptions(), new KernelDistanceOptions(), new SlicedWassersteinOptions());
        var options = new EvaluationOptions
        {
            Metrics = asked,
            WaveletLevel = parsed.GetValue(level),
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
            PrecisionRecall = prdc with
            {
                Neighbours = parsed.GetValue(neighbours) ?? prdc.Neighbours,
                Rule = parsed.GetValue(rule) ?? prdc.Rule,
            },
            SlicedWasserstein = sliced with
            {
                Directions = parsed.GetValue(directions) ?? sliced.Directions,
                Seed = preparing.Seed(parsed),
            },
            Kernel = kernel with
            {
                Subsets = parsed.GetValue(subsets) ?? kernel.Subsets,
                SubsetSize = parsed.GetValue(subsetSize) ?? kernel.SubsetSize,
                Seed = preparing.Seed(parsed),
            },
        };
        options = networks.Open(parsed, options, opened);
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

    private static void Refuse(ParseResult parsed, Metrics asked, Metrics needed, string name, params Option[] options)
    {
        if (!asked.HasFlag(needed) && options.FirstOrDefault(o => parsed.GetResult(o) is not null) is { } inert)
            throw new UsageException($"{inert.Name} is for {name}, which is not asked for (--metrics).");
    }

    private static Metrics ReadMetrics(string text)
    {
        var result = Metrics.None;
        foreach (var name in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            result |= name switch
            {
                "fwd" => Metrics.Fwd,
                "spectrum" => Metrics.Spectrum,
                "sharpness" => Metrics.Sharpness,
                "psnr" => Metrics.Psnr,
                "ssim" => Metrics.Ssim,
                "lpips" => Metrics.Lpips,
                "clipscore" => Metrics.ClipScore,
                "swd" => Metrics.Swd,
                "fid" => Metrics.Fid,
                "fd" => Metrics.Fd,
                "kid" => Metrics.Kid,
                "prdc" => Metrics.Prdc,
                _ => throw new UsageException(
                    $"Unknown metric '{name}'; there are fwd, spectrum, sharpness, psnr, ssim, lpips, clipscore, swd, fid, fd, "
                        + $"kid and prdc."
                ),
            };
        }

        return result;
    }
}
