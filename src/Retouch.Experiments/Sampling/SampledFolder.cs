using System.Globalization;
using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;

namespace Retouch.Experiments.Sampling;

/// <summary>
/// Folder of sampled pictures: PNG files, and a metadata.jsonl in the layout of Hugging Face's imagefolder, so that the folder can be used
/// as a data set. At any moment the metadata names only complete files.
/// </summary>
public sealed class SampledFolder
{
    /// <summary>Name of the metadata file.</summary>
    public const string MetadataName = "metadata.jsonl";

    private readonly string _folder;
    private readonly PipelineSampling _request;
    private readonly Func<int, (int? Label, string? Text)> _describe;
    private readonly string _sampler;
    private readonly StringBuilder _metadata = new();

    /// <param name="folder">New or empty.</param>
    /// <param name="pipeline">The model.</param>
    /// <param name="request">The sampling options.</param>
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

    /// <summary>Merged adapters.</summary>
    public IReadOnlyList<LaidOver> Adapters { get; init; } = [];

    /// <summary>Pictures written.</summary>
    public int Count { get; private set; }

    /// <summary>Whether a complete folder exists: metadata is written last.</summary>
    /// <param name="folder">Folder of pictures.</param>
    public static bool IsWhole(string folder) => File.Exists(Path.Combine(folder, MetadataName));

    /// <summary>Rejects a folder that is not empty.</summary>
    /// <exception cref="UsageException">It is not empty.</exception>
    public static string Check(string folder)
    {
        folder = Path.GetFullPath(folder);
        return File.Exists(folder) || !IsNew(folder)
            ? throw new UsageException($"'{folder}' is not empty. Choose another folder with --output; nothing is ever overwritten.")
            : folder;
    }

    /// <summary>Whether the folder does not exist or is empty.</summary>
    public static bool IsNew(string folder) => !Directory.Exists(folder) || !Directory.EnumerateFileSystemEntries(folder).Any();

    /// <summary>
    /// Takes over the pictures of an interrupted run with the same options; pictures missing in the metadata are sampled again.
    /// </summary>
    /// <exception cref="UsageException">The folder holds pictures of another request.</exception>
    /// <exception cref="InputException">A picture named in the metadata is missing or broken.</exception>
    public void TakeOver()
    {
        var path = Path.Combine(_folder, MetadataName);
        foreach (var line in File.Exists(path) ? File.ReadAllLines(path) : [])
        {
            var expected = Count < _request.Seeds.Count ? Line(Count, _request.Width, _request.Height) : null;
            if (line != expected)
                throw new UsageException(
                    $"Line {Count + 1} of '{path}' is of another request:\n  {line}\nThis one asks for\n  "
                        + $"{expected ?? "no more pictures"}\nRepeat the options of the interrupted run, or choose another folder."
                );
            PictureFile.Probe(Path.Combine(_folder, NameOf(Count)));
            _metadata.Append(line).Append('\n');
            Count++;
        }
    }

    /// <summary>Writes the next pictures.</summary>
    public void Add(IReadOnlyList<Picture> pictures)
    {
        foreach (var picture in pictures)
        {
            var png = PictureFile.Encode(picture, PictureFormat.Png);
            AtomicFile.Write(Path.Combine(_folder, NameOf(Count)), stream => stream.Write(png));
            _metadata.Append(Line(Count, picture.Width, picture.Height)).Append('\n');
            Count++;
        }

        AtomicFile.WriteText(Path.Combine(_folder, MetadataName), _metadata.ToString());
    }

    private static string NameOf(int index) => string.Create(CultureInfo.InvariantCulture, $"{index:D5}.png");

    private string Line(int index, int width, int height)
    {
        var (label, text) = _describe(index);
        var guidance = _request.Guidance;
        return JsonSerializer.Serialize(
            new
            {
                FileName = NameOf(index),
                Text = text,
                Label = label,
                Seed = _request.Seeds[index],
                Sampler = _sampler,
                _request.Steps,
                Guidance = guidance.Scale,
                GuidanceRescale = guidance.Rescale > 0 ? guidance.Rescale : (double?)null,
                Width = width,
                Height = height,
                Lora = Adapters.Count > 0 ? Adapters : null,
            },
            JsonStyles.Dataset
        );
    }
}
