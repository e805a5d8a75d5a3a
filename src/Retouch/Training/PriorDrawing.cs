using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Data;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training.Distributed;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>
/// Draws prior pictures with the initial weights of a run, in a folder with the settings (<c>prior.json</c>) and a metadata.jsonl: a data
/// set with captions. Each picture has a seed that follows from that of the first run; what exists is not drawn again.
/// </summary>
internal sealed class PriorDrawing
{
    private const string SettingsFile = "prior.json";
    private const string Seed = "seed";
    private const ulong Purpose = 0x7072696F72;

    private readonly TrainingOptions _options;
    private readonly PriorOptions _prior;
    private readonly LatentDiffusionPipeline _pipeline;
    private readonly int? _label;
    private readonly Device _device;
    private readonly JsonObject _settings;

    /// <param name="options">Resolved options with a number of prior pictures.</param>
    /// <param name="pipeline">Initial model; not disposed here.</param>
    /// <param name="label">Class of the pictures; null for denoisers without classes.</param>
    /// <param name="folder">Folder of the pictures.</param>
    /// <param name="device">Device of the networks.</param>
    /// <param name="resumed">Whether the run is resumed: complete pictures are then used even if the model has changed.</param>
    /// <exception cref="RetouchException">The folder has other files, or pictures drawn with other settings.</exception>
    public PriorDrawing(TrainingOptions options, LatentDiffusionPipeline pipeline, int? label, string folder, Device device, bool resumed)
    {
        (_options, _prior, _pipeline, _label, _device) = (options, options.Data.Prior!, pipeline, label, device);
        Folder = folder;
        _settings = new()
        {
            ["model"] = JsonSerializer.SerializeToNode(ResumeCheck.ModelHashes(options.Model), JsonStyles.Verbatim),
            ["scheduler"] = pipeline.SchedulerConfig.DeepClone(),
            ["prompt"] = _prior.Prompt,
            ["class"] = _prior.Class,
            ["size"] = options.Data.Side,
            ["steps"] = _prior.Steps,
            ["guidance"] = Guidance,
            [Seed] = SplitMix64.Derive(options.Seed, Purpose) >> 33,
        };
        if (resumed && Missing == 0)
            return;
        if (File.Exists(Settings))
            Compare();
        else if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
            throw new UsageException(
                $"The folder '{folder}' has no {SettingsFile}: its files are not prior pictures drawn by a run. Give an empty folder as "
                    + "data.prior.folder, or leave data.prior.count out to use its pictures as they are."
            );
    }

    /// <summary>Folder of the pictures.</summary>
    public string Folder { get; }

    /// <summary>Number of pictures that do not exist yet.</summary>
    public int Missing => Math.Max(0, Count - Done);

    /// <summary>What is drawn, as a line of the run's summary.</summary>
    public string Description
    {
        get
        {
            var what = _prior.Prompt ?? _prior.Class;
            var where = $"{Figures.Count(Count, "picture")}{(what is null ? "" : $" of '{Excerpt.Of(what)}'")} in {Folder}";
            var how = string.Create(
                CultureInfo.InvariantCulture,
                $"with the initial model before the first step ({_prior.Steps} sampler steps, guidance {Guidance:0.###})"
            );
            return Missing == 0 ? $"{where}, all drawn before"
                : Missing == Count ? $"{where}, drawn {how}"
                : $"{where}, {Figures.Count(Count - Missing)} drawn before and {Figures.Count(Missing)} drawn {how}";
        }
    }

    /// <summary>Draws the missing pictures; all processes must call it.</summary>
    /// <param name="progress">Display of progress and notes.</param>
    /// <param name="world">All processes; null for a single one.</param>
    /// <param name="cancellation">Cancels between two sampler steps; complete batches remain.</param>
    public void Run(IProgressLine progress, World? world, CancellationToken cancellation)
    {
        var done = Done;
        world?.Barrier("count the prior pictures");
        if (done >= Count)
            return;
        var isMain = world is not { IsMain: false };
        if (isMain && !File.Exists(Settings))
        {
            Directory.CreateDirectory(Folder);
            AtomicFile.WriteText(Settings, _settings.ToJsonString(JsonStyles.State) + "\n");
        }

        using var scope = TensorScope.Enter();
        var first = _settings[Seed]!.GetValue<ulong>();
        var request = Request(PipelineSampling.SeedsFrom(first, Count), progress.Note);
        // Batches as in an uninterrupted run: rounding depends on the batch size.
        var start = done - (done % request.BatchSize);
        SharedSampling.Run(_pipeline, request, start, _device, world, Take, Complete, Report, cancellation);

        void Report(int steps, int all) => progress.Report(new TrainingProgress(steps, all) { Unit = "sampler step" });

        void Take(int index, IReadOnlyList<Picture> pictures)
        {
            for (var k = Math.Max(index, done); k < index + pictures.Count; k++)
                PictureFile.Save(pictures[k - index], Path.Combine(Folder, PriorPictures.NameOf(k)));
        }

        void Complete(int count)
        {
            if (isMain)
                WriteMetadata(first, count);
        }
    }

    private int Count => _prior.Count!.Value;

    private double Guidance => _prior.Guidance ?? _pipeline.DefaultGuidance(_options.Data.Side, _options.Data.Side);

    private string Settings => Path.Combine(Folder, SettingsFile);

    // Pictures are written in order, each as a whole.
    private int Done => Enumerable.Range(0, int.MaxValue).First(k => !File.Exists(Path.Combine(Folder, PriorPictures.NameOf(k))));

    /// <summary>Compares the settings of the existing pictures, and takes over their first seed.</summary>
    private void Compare()
    {
        var found = JsonFile.Object(Settings, "Give another folder with data.prior.folder.");
        static string Text(JsonNode? node) => node?.ToJsonString(JsonStyles.State) ?? "nothing";
        string[] differences =
        [
            .. _settings
                .Select(static p => p.Key)
                .Where(n => n != Seed && Text(_settings[n]) != Text(found[n]))
                .Select(n => n is "model" or "scheduler" ? $"another {n}" : $"{n} was {Text(found[n])} and is {Text(_settings[n])}"),
        ];
        if (differences.Length > 0)
            throw new InputException(
                $"The prior pictures in '{Folder}' were drawn with other settings: {string.Join("; ", differences)}. Restore them, give "
                    + "another data.prior.folder, or leave data.prior.count out to use the pictures as they are."
            );
        _settings[Seed] =
            found[Seed] is JsonValue value && value.TryGetValue(out ulong seed)
                ? seed
                : throw new InputException($"'{Settings}' has no whole number as {Seed}. Give another folder with data.prior.folder.");
    }

    private PipelineSampling Request(IReadOnlyList<ulong> seeds, Action<string> note)
    {
        var side = _options.Data.Side;
        var request = _pipeline.Request(seeds, side, side) with
        {
            Steps = _prior.Steps,
            Guidance = new(Guidance),
            Sampler = SchedulerConfig.ReadOrUsual(_pipeline.SchedulerConfig).Options,
            Precision = DTypes.Precisions[_options.Precision],
            BatchSize = _options.Batch.Size,
            Labels = _label is { } label ? [.. Enumerable.Repeat(label, seeds.Count)] : null,
        };
        return _prior.Prompt is { } prompt ? _pipeline.Prompted(request, [prompt], _device, note: note) : request;
    }

    private void WriteMetadata(ulong first, int count)
    {
        var text = new StringBuilder();
        for (var k = 0; k < count; k++)
        {
            var line = new
            {
                FileName = PriorPictures.NameOf(k),
                Text = _prior.Prompt ?? _prior.Class,
                Label = _label,
                Seed = first + (ulong)k,
            };
            text.Append(JsonSerializer.Serialize(line, JsonStyles.Dataset)).Append('\n');
        }

        AtomicFile.WriteText(Path.Combine(Folder, "metadata.jsonl"), text.ToString());
    }
}
