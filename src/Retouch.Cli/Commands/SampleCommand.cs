using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Retouch.Checkpoints.Diffusers;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Torch.Errors;
using Retouch.Torch.Io;

namespace Retouch.Cli.Commands;

/// <summary>What <c>retouch sample</c> wrote.</summary>
/// <param name="Folder">Where.</param>
/// <param name="Count">Pictures.</param>
/// <param name="Seconds">Time it took, without loading.</param>
internal sealed record SampleResult(string Folder, int Count, double Seconds);

/// <summary><c>retouch sample</c>: draws pictures from a diffusers folder, with the seed of each recorded.</summary>
internal static class SampleCommand
{
    private static readonly JsonSerializerOptions Lines = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };
    private static readonly Option<string> Model = new("--model") { Description = "A pipeline in the diffusers layout.", Required = true };
    private static readonly Option<string> OutputFolder = new("--output") { Description = "Folder for the pictures; new or empty.", Required = true };
    private static readonly Option<int> Count = new("--count") { Description = "Pictures.", DefaultValueFactory = static _ => 16 };
    private static readonly Option<ulong> Seed = new("--seed") { Description = "Seed of the first picture; the next ones count on. A picture does not depend on the others.", DefaultValueFactory = static _ => 0 };
    private static readonly Option<int> Steps = new("--steps") { Description = "Sampler steps.", DefaultValueFactory = static _ => 50 };
    private static readonly Option<double> Guidance = new("--guidance") { Description = "Scale of classifier-free guidance; 1 is none.", DefaultValueFactory = static _ => 1.5 };
    private static readonly Option<int?> Size = new("--size") { Description = "Side in pixels; default: what the denoiser was made for." };
    private static readonly Option<int[]> Class = new("--class") { Description = "Classes, which take turns; default: all of them.", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<string> Device = new("--device") { Description = "cpu, cuda or cuda:N.", DefaultValueFactory = static _ => "cpu" };
    private static readonly Option<int> Batch = new("--batch") { Description = "Pictures at a time; does not change them.", DefaultValueFactory = static _ => 16 };

    public static Command Create()
    {
        var command = new Command("sample", "Draws pictures from a model.") { Model, OutputFolder, Count, Seed, Steps, Guidance, Size, Class, Device, Batch };
        command.SetAction((parsed, cancellation) =>
        {
            var result = Run(parsed, cancellation);
            Output.For(parsed).Write(result, writer => writer.WriteLine($"{result.Count} pictures in {result.Seconds:0.#} s: {result.Folder}"));
            return Task.FromResult(0);
        });
        return command;
    }

    private static SampleResult Run(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = Path.GetFullPath(parsed.GetRequiredValue(OutputFolder));
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()))
            throw new UsageException($"'{folder}' is not empty. Choose another folder with --output; nothing is ever overwritten.");
        var count = parsed.GetValue(Count);
        if (count < 1 || parsed.GetValue(Batch) < 1 || parsed.GetValue(Steps) < 1)
            throw new UsageException("--count, --batch and --steps must be at least 1.");
        var device = Torch.Device.Parse(parsed.GetValue(Device)!);
        using var pipeline = LatentDiffusionPipeline.Load(parsed.GetRequiredValue(Model), device);
        var chosen = parsed.GetValue(Class) ?? [];
        var request = new PipelineSampling
        {
            Seeds = PipelineSampling.SeedsFrom(parsed.GetValue(Seed), count), Steps = parsed.GetValue(Steps), Guidance = parsed.GetValue(Guidance), BatchSize = parsed.GetValue(Batch),
            Size = parsed.GetValue(Size) ?? pipeline.NativeSize, Labels = chosen.Length == 0 ? null : [.. Enumerable.Range(0, count).Select(k => chosen[k % chosen.Length])],
        };
        var start = TimeProvider.System.GetTimestamp();
        var pictures = PipelineSampler.Sample(pipeline, request, device, null, cancellation);
        Write(pipeline, request, pictures, folder);
        return new SampleResult(folder, count, TimeProvider.System.GetElapsedTime(start).TotalSeconds);
    }

    /// <summary>Pictures, and a metadata.jsonl in the layout of Hugging Face's imagefolder: the folder is a data set again.</summary>
    internal static void Write(LatentDiffusionPipeline pipeline, PipelineSampling request, IReadOnlyList<Picture> pictures, string folder)
    {
        var metadata = new StringBuilder();
        for (var k = 0; k < pictures.Count; k++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{k:D5}.png");
            var png = PictureFile.Encode(pictures[k], PictureFormat.Png);
            AtomicFile.Write(Path.Combine(folder, name), stream => stream.Write(png));
            var label = pipeline.Denoiser.ClassCount is { } classes ? request.Labels?[k] ?? k % classes : (int?)null;
            var text = label is { } l ? pipeline.Labels.GetValueOrDefault(l) : null;
            metadata.Append(JsonSerializer.Serialize(new { FileName = name, Seed = request.Seeds[k], Label = label, Text = text, request.Steps, request.Guidance }, Lines)).Append('\n');
        }

        AtomicFile.WriteText(Path.Combine(folder, "metadata.jsonl"), metadata.ToString());
    }
}
