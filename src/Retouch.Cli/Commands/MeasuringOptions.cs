using System.CommandLine;
using Retouch.Evaluation;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Torch.Errors;

namespace Retouch.Cli.Commands;

/// <summary>The options that <c>evaluate</c> and <c>compare</c> share: what is measured, on which pictures, and how sure it is.</summary>
internal sealed class MeasuringOptions
{
    private const string DefaultMetrics = "fwd,spectrum,sharpness";

    private readonly Option<string> reference = new("--reference") { Description = "Folder of real pictures; for psnr, of the originals.", Required = true };
    private readonly Option<string> metrics = new("--metrics") { Description = "Any of fwd, spectrum, sharpness, psnr.", DefaultValueFactory = _ => DefaultMetrics };
    private readonly Option<int?> size = new("--size") { Description = "Resize the shorter side to this and cut a square from the middle. Without it, all pictures must have one size." };
    private readonly Option<ResizeFilter> filter = new("--filter") { Description = "Filter of the resize, as in Pillow.", DefaultValueFactory = _ => ResizeFilter.Lanczos };
    private readonly Option<bool> enlarge = new("--allow-enlarging") { Description = "Enlarge pictures that are smaller than --size instead of refusing them." };
    private readonly Option<int?> count = new("--count") { Description = "Pictures of each folder to take, drawn with --seed." };
    private readonly Option<int?> level = new("--level") { Description = "Level of the wavelet packets of fwd. By default 4, less for small pictures, more for very large ones." };
    private readonly Option<int> resamples = new("--resamples") { Description = "Bootstrap resamples.", DefaultValueFactory = _ => new BootstrapOptions().Resamples };
    private readonly Option<double> confidence = new("--confidence") { Description = "Confidence of the intervals.", DefaultValueFactory = _ => new BootstrapOptions().Confidence };
    private readonly Option<ulong> seed = new("--seed") { Description = "Seed of whatever is drawn." };
    private readonly Option<int> batch = new("--batch-size") { Description = "Pictures looked at together.", DefaultValueFactory = _ => new EvaluationOptions().BatchSize };
    private readonly Option<string> device = new("--device") { Description = "cpu, cuda or cuda:1.", DefaultValueFactory = _ => "cpu" };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[reference, metrics, size, filter, enlarge, count, level, resamples, confidence, seed, batch, device])
            command.Add(option);
    }

    public string Reference(ParseResult parsed) => parsed.GetValue(reference)!;

    public SetPreparation Preparation(ParseResult parsed) => new()
    {
        Size = parsed.GetValue(size),
        Filter = parsed.GetValue(filter),
        AllowEnlarging = parsed.GetValue(enlarge),
        Take = parsed.GetValue(count),
        Seed = parsed.GetValue(seed),
    };

    /// <exception cref="UsageException">A metric is unknown, or an option out of range.</exception>
    public EvaluationOptions Evaluation(ParseResult parsed)
    {
        var options = new EvaluationOptions
        {
            Metrics = ReadMetrics(parsed.GetValue(metrics)!),
            WaveletLevel = parsed.GetValue(level),
            Bootstrap = new BootstrapOptions { Resamples = parsed.GetValue(resamples), Confidence = parsed.GetValue(confidence), Seed = parsed.GetValue(seed) },
            BatchSize = parsed.GetValue(batch),
            Device = Device.Parse(parsed.GetValue(device)!),
        };
        options.Validate();
        return options;
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
                _ => throw new UsageException($"Unknown metric '{name}'; there are fwd, spectrum, sharpness and psnr."),
            };
        }

        return result;
    }
}
