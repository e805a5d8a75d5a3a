using System.CommandLine;
using Retouch.Cli.Studies;
using Retouch.Evaluation.Features;
using Retouch.Reports;
using Retouch.Torch.Errors;
using Retouch.Training.Telemetry;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch study</c>: looks at an autoencoder, a denoiser and pictures, without training anything.</summary>
internal static class StudyCommand
{
    private static readonly Argument<string> Name = new("NAME")
    {
        Description = "latents: what interpolation does to pictures and to latents. features: maps of the decoder's taps, outliers marked. taps: magnitude and outliers of each tap, how far the "
            + "estimate can be trusted at which noise, and options for the latent perceptual loss that follow from it.",
    };

    private static readonly Option<string?> Model = new("--model") { Description = "A pipeline (diffusers layout); default: the small one that comes along. latents and features need its vae/ alone." };
    private static readonly Option<string?> Data = new("--data") { Description = "A folder of pictures; default: procedural scenes." };
    private static readonly Option<string> OutputPath = new("--output") { Description = "Folder for the report.", Required = true };
    private static readonly Option<int> Size = new("--size") { Description = "Side of the pictures in pixels.", DefaultValueFactory = static _ => 64 };
    private static readonly Option<int> Count = new("--count") { Description = "Pictures looked at.", DefaultValueFactory = static _ => 16 };
    private static readonly Option<int> Levels = new("--levels") { Description = "For taps: noise levels.", DefaultValueFactory = static _ => 16 };
    private static readonly Option<int> Channels = new("--channels") { Description = "For features: channels of each tap, those with the most outliers.", DefaultValueFactory = static _ => 8 };
    private static readonly Option<int[]> Factors = new("--factors") { Description = "For latents: by how much sides are shrunk.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = static _ => [2, 4] };
    private static readonly Option<ulong> Seed = new("--seed") { Description = "Of the noise, and of the choice of pictures.", DefaultValueFactory = static _ => 1 };
    private static readonly Option<string> Device = new("--device") { Description = "cpu, cuda or cuda:N.", DefaultValueFactory = static _ => "cpu" };
    private static readonly Option<string?> Lpips = new("--lpips") { Description = "For latents: the lpips package's linear weights. Without them the decoder's own features tell the perceptual error." };
    private static readonly Option<string?> LpipsNetwork = new("--lpips-network") { Description = "For latents: the classifier that --lpips belongs to." };

    public static Command Create()
    {
        var command = new Command("study", "Looks at an autoencoder, a denoiser and pictures before anything is trained.")
        {
            Name, Model, Data, OutputPath, Size, Count, Levels, Channels, Factors, Seed, Device, Lpips, LpipsNetwork,
        };
        command.SetAction((parsed, cancellation) =>
        {
            Run(parsed, cancellation);
            return Task.FromResult(0);
        });
        return command;
    }

    private static void Run(ParseResult parsed, CancellationToken cancellation)
    {
        var name = parsed.GetRequiredValue(Name);
        foreach (var (option, study) in new (Option, string)[] { (Levels, "taps"), (Channels, "features"), (Factors, "latents"), (Lpips, "latents"), (LpipsNetwork, "latents") })
        {
            if (name != study && parsed.GetResult(option) is { Implicit: false })
                throw new UsageException($"{option.Name} is for the study {study}; it would do nothing.");
        }

        if (parsed.GetValue(Lpips) is null != parsed.GetValue(LpipsNetwork) is null)
            throw new UsageException("--lpips and --lpips-network belong together: the linear weights, and the classifier that they weight.");
        if (parsed.GetValue(Count) is < 1 or > 4096 || parsed.GetValue(Levels) is < 2 or > 1000 || parsed.GetValue(Channels) is < 1 or > 64)
            throw new UsageException("--count lies between 1 and 4096, --levels between 2 and 1000, --channels between 1 and 64.");
        using var material = StudyMaterial.Open(parsed.GetValue(Model), parsed.GetValue(Data), parsed.GetValue(Size), parsed.GetValue(Count), parsed.GetValue(Seed), parsed.GetValue(Device)!, needsDenoiser: name == "taps");
        var (document, result, text) = name switch
        {
            "latents" => Latents(parsed, material, cancellation),
            "features" => FeatureStudy.Build(material, parsed.GetValue(Channels)),
            "taps" => TapReport.Build(material, parsed.GetValue(Levels), parsed.GetValue(Seed), parsed.GetValue(OutputPath)!, cancellation),
            _ => throw new UsageException($"There is no study '{name}'; there are latents, features and taps."),
        };
        var files = ReportWriter.Write(document, parsed.GetValue(OutputPath)!);
        Output.For(parsed).Write(result, writer =>
        {
            text(writer);
            writer.WriteLine($"report: {files.Html}");
        });
    }

    private static (ReportDocument Document, object Result, Action<TextWriter> Text) Latents(ParseResult parsed, StudyMaterial material, CancellationToken cancellation)
    {
        using var lpips = parsed.GetValue(Lpips) is { } linear ? PerceptualSimilarity.Open(parsed.GetValue(LpipsNetwork)!, linear, material.Device) : null;
        return LatentStudy.Build(material, parsed.GetValue(Factors)!, lpips, cancellation);
    }
}
