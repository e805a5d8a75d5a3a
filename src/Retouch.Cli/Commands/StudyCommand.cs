using System.CommandLine;
using Retouch.Cli.Diagnosis;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Studies;
using Retouch.Experiments.Machine;
using Retouch.Experiments.Studies;
using Retouch.Perception;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch study</c>: analyses an autoencoder, a denoiser and pictures, without training.</summary>
internal static class StudyCommand
{
    private static readonly Argument<string> Name = new("NAME")
    {
        Description =
            "latents: effect of interpolation on pictures and on latents. features: maps of the decoder's taps with marked outliers. "
            + "taps: magnitude and outliers of each tap, accuracy of the "
            + "estimate by noise level, and proposed options for the latent perceptual loss. windows: gradients of decoded windows "
            + "(objective.decodeCrop) against those of whole pictures.",
    };

    private static readonly Option<string?> Model = new("--model")
    {
        Description = "A pipeline (diffusers layout); default: the small bundled one. latents, features and windows need only its vae/.",
    };
    private static readonly Option<int> Channels = new Option<int>("--channels")
    {
        Description = "For features: number of shown channels per tap, ordered by outliers.",
        DefaultValueFactory = static _ => 8,
    }.Within(new() { AtLeast = 1, AtMost = 64 });
    private static readonly Option<double[]> Factors = new("--factors")
    {
        Description = "For latents: downsampling factors, above 1.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = static _ => [1.3, 2, 4],
    };
    private static readonly Option<int[]> Crops = new("--crop")
    {
        Description = "For windows: sides in pixels. Default: half of the size.",
        AllowMultipleArgumentsPerToken = true,
    };
    private static readonly Option<int[]> Halos = new("--halo")
    {
        Description = "For windows: halos in pixels.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = static _ => [0, 16, 32],
    };
    private static readonly Option<double> Time = new Option<double>("--time")
    {
        Description = "For windows: timestep of the estimates, between 0 and 1.",
        DefaultValueFactory = static _ => 0.3,
    }.Within(new() { AtLeast = 0.001, AtMost = 0.999 });
    private static readonly StudyOptions Looks = new("");
    private static readonly Option<string?> Lpips = new("--lpips")
    {
        Description = "For latents: the lpips package's linear weights. Default: the decoder's features instead of LPIPS.",
    };
    private static readonly Option<string?> LpipsNetwork = new("--lpips-network")
    {
        Description = "For latents: the classifier of --lpips.",
    };

    public static Command Create()
    {
        var command = new Command("study", "Analyse an autoencoder, a denoiser and pictures before training.")
        {
            Name,
            Model,
            Channels,
            Factors,
            Crops,
            Halos,
            Time,
            Lpips,
            LpipsNetwork,
        };
        foreach (var option in Looks.All)
            command.Add(option);
        command.SetAction(
            (parsed, cancellation) =>
            {
                Run(parsed, cancellation);
                return Task.FromResult(0);
            }
        );
        return command;
    }

    private static void Run(ParseResult parsed, CancellationToken cancellation)
    {
        var name = parsed.GetRequiredValue(Name);
        foreach (
            var (option, study) in new (Option, string)[]
            {
                (Looks.Levels, "taps"),
                (Channels, "features"),
                (Factors, "latents"),
                (Crops, "windows"),
                (Halos, "windows"),
                (Time, "windows"),
                (Lpips, "latents"),
                (LpipsNetwork, "latents"),
            }
        )
        {
            if (name != study && parsed.GetResult(option) is { Implicit: false })
                throw new UsageException($"{option.Name} has an effect only with the study {study}.");
        }

        if (parsed.GetValue(Lpips) is null != parsed.GetValue(LpipsNetwork) is null)
            throw new UsageException("--lpips (linear weights) and --lpips-network (classifier) must be given together.");
        var folder = Looks.Folder(parsed);
        if (name == "taps")
        {
            Taps(parsed, parsed.ModelOf(Model), Looks, cancellation);
            return;
        }

        var load = ReportOrigin.LoadAverage();
        using var material = Looks.Open(parsed, parsed.ModelOf(Model), needsDenoiser: false);
        switch (name)
        {
            case "latents":
                Write(parsed, Latents(parsed, material, cancellation), folder, load);
                break;
            case "features":
                Write(parsed, FeatureStudy.Build(material, parsed.GetValue(Channels)), folder, load);
                break;
            case "windows":
                Write(parsed, Windows(parsed, material, cancellation), folder, load);
                break;
            default:
                throw new UsageException($"Unknown study '{name}'; known: latents, features, taps and windows.");
        }
    }

    /// <summary>The study of taps, of <c>study taps</c> and <c>inspect --taps</c>.</summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="model">Pipeline; null for the bundled one.</param>
    /// <param name="looks">Options of the study.</param>
    /// <param name="cancellation">Cancels the study.</param>
    internal static void Taps(ParseResult parsed, string? model, StudyOptions looks, CancellationToken cancellation)
    {
        var folder = looks.Folder(parsed);
        var load = ReportOrigin.LoadAverage();
        using var material = looks.Open(parsed, model, needsDenoiser: true);
        Write(parsed, TapReport.Build(material, parsed.GetValue(looks.Levels), looks.Seed(parsed), folder, cancellation), folder, load);
    }

    private static void Write<T>(
        ParseResult parsed,
        (ReportDocument Document, T Result, Action<TextWriter> Text) study,
        string folder,
        string load
    )
    {
        var files = ReportWriter.Write(
            study.Document with
            {
                Sections = [.. study.Document.Sections, .. ReportOrigin.Of(CommandText.Of(parsed), load)],
            },
            folder
        );
        Output
            .For(parsed)
            .Write(
                study.Result,
                writer =>
                {
                    study.Text(writer);
                    writer.WriteLine($"report: {files.Html}");
                }
            );
    }

    private static (ReportDocument Document, IReadOnlyList<WindowFacts> Result, Action<TextWriter> Text) Windows(
        ParseResult parsed,
        StudyMaterial material,
        CancellationToken cancellation
    )
    {
        var crops = parsed.GetValue(Crops) is { Length: > 0 } given ? given : [(int)material.Images.Shape[3] / 2];
        var halos = parsed.GetValue(Halos)!;
        if (crops.Concat(halos).FirstOrDefault(static p => p < 0) is < 0 and var negative)
            throw new UsageException($"{negative} pixels for --crop or --halo; they must not be negative.");
        return WindowStudy.Build(material, crops, halos, parsed.GetValue(Time), Looks.Seed(parsed), cancellation);
    }

    private static (ReportDocument Document, IReadOnlyList<LatentStudy.Row> Result, Action<TextWriter> Text) Latents(
        ParseResult parsed,
        StudyMaterial material,
        CancellationToken cancellation
    )
    {
        using var lpips = parsed.GetValue(Lpips) is { } linear
            ? PerceptualSimilarity.Open(parsed.GetValue(LpipsNetwork)!, linear, material.Device)
            : null;
        return LatentStudy.Build(material, parsed.GetValue(Factors)!, lpips, cancellation);
    }
}
