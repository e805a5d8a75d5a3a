using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Retouch.Checkpoints.Diffusers;
using Retouch.Cli.Commands;
using Retouch.Images;
using Retouch.Samplers;
using Retouch.Torch.Errors;
using Retouch.Torch.Io;

namespace Retouch.Cli;

/// <summary>
/// A folder that pictures are drawn into: PNG files, and a metadata.jsonl in the layout of Hugging Face's imagefolder, so that the folder is a data set again.
/// The metadata names only pictures that are whole on the disk, at any moment.
/// </summary>
internal sealed class SampledFolder
{
    public const string MetadataName = "metadata.jsonl";

    private static readonly JsonSerializerOptions Lines = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly string _folder;
    private readonly PipelineSampling _request;
    private readonly Func<int, (int? Label, string? Text)> _describe;
    private readonly string _sampler;
    private readonly StringBuilder _metadata = new();

    /// <param name="folder">New or empty.</param>
    /// <param name="pipeline">What draws.</param>
    /// <param name="request">Which pictures.</param>
    /// <param name="texts">The prompt of each picture; null for the names of their classes.</param>
    public SampledFolder(string folder, LatentDiffusionPipeline pipeline, PipelineSampling request, IReadOnlyList<string>? texts = null)
    {
        (_folder, _request) = (folder, request);
        _sampler = SamplerNames.Of(request.Sampler ?? SamplerOptions.FromSchedulerConfig(pipeline.SchedulerConfig));
        _describe = k =>
        {
            if (texts is not null || request.Conditions is not null)
                return (null, texts?[k]);
            var label = pipeline.Denoiser.ClassCount is { } classes ? request.Labels?[k] ?? k % classes : (int?)null;
            return (label, label is { } l ? pipeline.Labels.GetValueOrDefault(l) : null);
        };
    }

    /// <summary>What was laid over the model.</summary>
    public IReadOnlyList<LaidOver> Adapters { get; init; } = [];

    /// <summary>Pictures written.</summary>
    public int Count { get; private set; }

    /// <summary>Refuses a folder that holds something.</summary>
    /// <exception cref="UsageException">It does.</exception>
    public static string Check(string folder)
    {
        folder = Path.GetFullPath(folder);
        return File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
            ? throw new UsageException($"'{folder}' is not empty. Choose another folder with --output; nothing is ever overwritten.")
            : folder;
    }

    /// <summary>Writes the next pictures.</summary>
    public void Add(IReadOnlyList<Picture> pictures)
    {
        foreach (var picture in pictures)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{Count:D5}.png");
            var png = PictureFile.Encode(picture, PictureFormat.Png);
            AtomicFile.Write(Path.Combine(_folder, name), stream => stream.Write(png));
            var (label, text) = _describe(Count);
            var guidance = _request.Guidance;
            var line = new
            {
                FileName = name, Text = text, Label = label, Seed = _request.Seeds[Count], Sampler = _sampler, _request.Steps, Guidance = guidance.Scale,
                GuidanceRescale = guidance.Rescale > 0 ? guidance.Rescale : (double?)null, picture.Width, picture.Height,
                Lora = Adapters.Count > 0 ? Adapters : null,
            };
            _metadata.Append(JsonSerializer.Serialize(line, Lines)).Append('\n');
            Count++;
        }

        AtomicFile.WriteText(Path.Combine(_folder, MetadataName), _metadata.ToString());
    }
}
