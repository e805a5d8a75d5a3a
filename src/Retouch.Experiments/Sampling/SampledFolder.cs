using System.Globalization;
using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;

namespace Retouch.Experiments.Sampling;

/// <summary>
/// Folder of sampled pictures: PNG files, and a metadata.jsonl in the layout of Hugging Face's imagefolder, so that the folder is a valid
/// data set. The metadata list completed files only, at any time.
/// </summary>
public sealed class SampledFolder
{
    /// <summary>File name of the metadata.</summary>
    public const string MetadataName = "metadata.jsonl";

    private readonly string _folder;
    private readonly PipelineSampling _request;
    private readonly Func<int, (int? Label, string? Text)> _describe;
    private readonly string _sampler;
    private readonly StringBuilder _metadata = new();

    /// <param name="folder">Output folder, new or empty.</param>
    /// <param name="pipeline">Pipeline.</param>
    /// <param name="request">Sampling options.</param>
    /// <param name="texts">Prompt of each picture; null for class names.</param>
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
    public IReadOnlyList<MergedAdapters> Adapters { get; init; } = [];

    /// <summary>Number of written pictures.</summary>
    public int Count { get; private set; }

    /// <summary>Whether a folder is complete: the metadata are written last.</summary>
    /// <param name="folder">Folder of pictures.</param>
    public static bool IsWhole(string folder) => File.Exists(Path.Combine(folder, MetadataName));

    /// <summary>Checks that a folder is empty.</summary>
    /// <exception cref="UsageException">The folder is not empty.</exception>
    public static string Check(string folder)
    {
        folder = Path.GetFullPath(folder);
        return File.Exists(folder) || !IsNew(folder)
            ? throw new UsageException(
                $"'{folder}' is not empty. Choose another folder with --output; existing files are never overwritten."
            )
            : folder;
    }

    /// <summary>Whether the folder does not exist or is empty.</summary>
    public static bool IsNew(string folder) => !Directory.Exists(folder) || !Directory.EnumerateFileSystemEntries(folder).Any();

    /// <summary>
    /// Keeps the pictures of an interrupted run with the same options; pictures missing in the metadata are sampled again.
    /// </summary>
    /// <exception cref="UsageException">The folder has pictures of another request.</exception>
    /// <exception cref="InputException">A picture listed in the metadata is missing or damaged.</exception>
    public void TakeOver()
    {
        var path = Path.Combine(_folder, MetadataName);
        foreach (var line in File.Exists(path) ? File.ReadAllLines(path) : [])
        {
            var expected = Count < _request.Seeds.Count ? Line(Count, _request.Width, _request.Height) : null;
            if (line != expected)
                throw new UsageException(
                    $"Line {Count + 1} of '{path}' belongs to another request:\n  {line}\nThis request expects\n  "
                        + $"{expected ?? "no more pictures"}\nRepeat the options of the interrupted run, or choose another folder."
                );
            PictureFile.Probe(Path.Combine(_folder, NameOf(Count)));
            _metadata.Append(line).Append('\n');
            Count++;
        }
    }

    /// <summary>Writes the next pictures and their metadata.</summary>
    public void Add(IReadOnlyList<Picture> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        Write(Count, pictures);
        Complete(Count + pictures.Count);
    }

    /// <summary>Writes pictures without their metadata; those that the metadata list are kept.</summary>
    /// <param name="first">Index of the first.</param>
    /// <param name="pictures">Consecutive pictures.</param>
    public void Write(int first, IReadOnlyList<Picture> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        for (var k = Math.Max(first, Count); k < first + pictures.Count; k++)
            PictureFile.Save(pictures[k - first], Path.Combine(_folder, NameOf(k)));
    }

    /// <summary>Adds written pictures to the metadata.</summary>
    /// <param name="count">Number of pictures, from the first, that are written.</param>
    public void Complete(int count)
    {
        for (; Count < count; Count++)
            _metadata.Append(Line(Count, _request.Width, _request.Height)).Append('\n');
        AtomicFile.WriteText(Path.Combine(_folder, MetadataName), _metadata.ToString());
    }

    /// <summary>Writes the folder's <see cref="ContactSheet"/>.</summary>
    /// <param name="model">Name of the model, the title of the page.</param>
    public void WriteContactSheet(string model)
    {
        var guidance = _request.Guidance.IsActive
            ? string.Create(CultureInfo.InvariantCulture, $", guidance {_request.Guidance.Scale:0.###}")
            : "";
        ContactSheet.Write(
            _folder,
            model,
            $"{_sampler}, {Figures.Count(_request.Steps, "step")}{guidance}, {_request.Width} × {_request.Height} pixels",
            [.. Enumerable.Range(0, Count).Select(k => (NameOf(k), LabelOf(k)))]
        );

        string LabelOf(int k)
        {
            var (label, text) = _describe(k);
            return ContactSheet.LabelOf(text, label, _request.Seeds[k]);
        }
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
