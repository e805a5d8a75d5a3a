using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Json;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Experiments.Machine;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Io;
using Retouch.Torch.Optim;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Inspection;

/// <summary>Inspects files and folders of models without reading weights.</summary>
/// <param name="batch">Batch size for the memory estimate.</param>
/// <param name="variant">Variant of the weights; null as in <see cref="WeightFiles.Open"/>.</param>
public sealed class Inspector(int batch, string? variant)
{
    /// <exception cref="InputException">The path does not exist, or its content is not recognised.</exception>
    public InspectReport Inspect(string path)
    {
        var full = Path.GetFullPath(path);
        if (File.Exists(full))
            return InspectFile(full);
        if (!Directory.Exists(full))
            throw new InputException($"'{full}' does not exist.");
        if (File.Exists(Path.Combine(full, "options.json")) && !File.Exists(Path.Combine(full, "config.json")))
            return InspectRun(full);
        if (File.Exists(Path.Combine(full, PipelineLayout.IndexName)))
            return InspectPipeline(full, "pipeline", null);
        if (AdapterFolder.IsAt(full))
            return InspectAdapters(full);
        using var summary = ComponentSummary.Of(full, variant);
        var report = Report(Path.GetFileName(full), summary);
        return new InspectReport(full, "component", report.BytesOnDisk, [report], null, null, null, Memory([summary]));
    }

    private static InspectReport InspectFile(string path)
    {
        using var file = TensorFile.Open(path);
        var shapes = file.Names.ToDictionary(static n => n, file.ShapeOf, StringComparer.Ordinal);
        long Elements(string name) => shapes[name].Aggregate(1L, static (a, b) => a * b);
        var types = file
            .Names.GroupBy(file.DTypeOf)
            .ToDictionary(static g => g.Key.ToString(), g => g.Sum(Elements), StringComparer.Ordinal);
        // The first factor of a pair has one row per rank.
        var ranks = shapes
            .Where(static s => IsFirstFactor(s.Key) && s.Value.Length >= 2)
            .GroupBy(static s => $"{s.Value[0]}")
            .OrderBy(static g => g.Key, StringComparer.Ordinal)
            .ToDictionary(static g => g.Key, static g => g.Count(), StringComparer.Ordinal);
        var largest = shapes
            .Keys.OrderByDescending(Elements)
            .ThenBy(static n => n, StringComparer.Ordinal)
            .Take(5)
            .Select(n => $"{n} [{string.Join(", ", shapes[n])}]");
        var tensors = new TensorFileReport(shapes.Count, shapes.Keys.Sum(Elements), types, ranks.Count > 0 ? ranks : null, [.. largest]);
        return new InspectReport(
            path,
            ranks.Count > 0 ? "LoRA file" : "tensor file",
            new FileInfo(path).Length,
            [],
            tensors,
            null,
            null,
            null
        );
    }

    private InspectReport InspectPipeline(string folder, string kind, RunReport? run, OptimiserOptions? optimiser = null)
    {
        var index = ConfigDocument.Read(Path.Combine(folder, PipelineLayout.IndexName)).Json;
        var reports = new List<ComponentReport>();
        var summaries = new List<ComponentSummary>();
        try
        {
            foreach (
                var name in index
                    .Where(static p => p.Value is JsonArray { Count: 2 })
                    .Select(static p => p.Key)
                    .Where(n => Path.GetFileName(n) == n && n != "scheduler")
            )
            {
                var part = Path.Combine(folder, name);
                if (!File.Exists(Path.Combine(part, "config.json")) && name != "vae")
                    continue;
                try
                {
                    var summary = ComponentSummary.Of(part, variant);
                    summaries.Add(summary);
                    reports.Add(Report(name, summary));
                }
                catch (InputException e)
                {
                    var named = index[name]![1]?.ToString() ?? "unknown";
                    reports.Add(new ComponentReport(name, named, 0, new Dictionary<string, long>(), SizeOf(part), 0, [], [e.Message]));
                }
            }

            var scheduler = Path.Combine(folder, "scheduler", "scheduler_config.json");
            return new InspectReport(
                folder,
                kind,
                SizeOf(folder),
                reports,
                null,
                File.Exists(scheduler) ? ReadScheduler(scheduler) : null,
                run,
                Memory(summaries, optimiser)
            );
        }
        finally
        {
            summaries.ForEach(static s => s.Dispose());
        }
    }

    private InspectReport InspectAdapters(string folder)
    {
        var report = InspectFile(Path.Combine(folder, LoraFile.Name)) with
        {
            Path = folder,
            Kind = "adapters",
            BytesOnDisk = SizeOf(folder),
        };
        try
        {
            var root = AdapterFolder.RootOf(folder);
            var part =
                ((string[])["transformer", "unet"]).Select(name => Path.Combine(root, name)).FirstOrDefault(Directory.Exists)
                ?? throw new InputException($"'{root}' has neither transformer/ nor unet/.");
            using var summary = ComponentSummary.Of(part, variant);
            foreach (var encoder in LoraFile.PartsOf(folder))
            {
                using var text = encoder is null ? null : ComponentFolder.Describe(Path.Combine(root, encoder));
                LoraFile.Check(
                    folder,
                    text is null
                        ? LoraTarget.Denoiser((IDenoiser)summary.Network!)
                        : LoraTarget.TextEncoder(ComponentRegistry.Of(text.Network).Parameters(text.Network), encoder!)
                );
            }

            return report with
            {
                Model = root,
            };
        }
        catch (InputException e)
        {
            return report with { Problems = [e.Message] };
        }
    }

    private InspectReport InspectRun(string folder)
    {
        var run = RunFolder.Open(folder);
        var records = File.Exists(run.MetricsFile) ? MetricsReader.Read(run.MetricsFile) : [];
        var report = new RunReport(
            new CheckpointStore(folder).Steps,
            records.Count > 0 ? records[^1].Step : null,
            MetricsReader.LastLoss(records)
        );
        var model = run.ModelFolder(null);
        if (File.Exists(Path.Combine(model, PipelineLayout.IndexName)))
            return InspectPipeline(model, "training run", report, Optimiser(run)) with { Path = folder, BytesOnDisk = SizeOf(folder) };
        if (AdapterFolder.IsAt(model))
            return InspectAdapters(model) with { Path = folder, Kind = "training run", BytesOnDisk = SizeOf(folder), Run = report };
        if (!File.Exists(Path.Combine(model, "config.json")))
            return new InspectReport(folder, "training run", SizeOf(folder), [], null, null, report, null);
        using var summary = ComponentSummary.Of(model, variant);
        return new InspectReport(
            folder,
            "training run",
            SizeOf(folder),
            [Report(Path.GetFileName(model), summary)],
            null,
            null,
            report,
            Memory([summary], Optimiser(run))
        );
    }

    private static OptimiserOptions Optimiser(RunFolder run) =>
        OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(run.OptionsFile), run.OptionsFile).Optimiser;

    private static ComponentReport Report(string name, ComponentSummary summary) =>
        new(
            name,
            summary.ClassName,
            summary.Parameters.Count,
            summary.Types.ToDictionary(static t => t.Key.ToString(), static t => t.Value, StringComparer.Ordinal),
            summary.Bytes,
            summary.Files.Count,
            [.. summary.Taps.Select(static (t, k) => new TapReport(k, t.Name, t.Channels, t.Scale))],
            summary.Problems
        );

    private static SchedulerReport ReadScheduler(string path)
    {
        var json = ConfigDocument.Read(path).Json;
        var formulation = FormulationFactory.FromSchedulerConfig(json, path);
        var prediction =
            formulation is FlowFormulation ? "flow (velocity)" : new JsonMembers(json, path).Text("prediction_type", "epsilon");
        return new SchedulerReport(new JsonMembers(json, path).Text("_class_name"), prediction, formulation.TrainSteps);
    }

    /// <summary>Trained network: the denoiser, or an autoencoder with a posterior; null for others.</summary>
    /// <param name="summaries">Networks of the folder.</param>
    /// <param name="optimiser">Optimiser of a run; null for AdamW.</param>
    private TrainingMemory? Memory(IReadOnlyList<ComponentSummary> summaries, OptimiserOptions? optimiser = null)
    {
        optimiser ??= new();
        var denoiser = summaries.FirstOrDefault(static s => s.Network is IDenoiser);
        var autoencoder = summaries.FirstOrDefault(static s => s.Network is IAutoencoder);
        if ((denoiser ?? summaries.FirstOrDefault(static s => s.Network is KlAutoencoder)) is not { } trained)
            return null;
        const int Side = 32;
        var decoder = (IAutoencoder?)autoencoder?.Network;
        // Default taps of the latent perceptual loss.
        int[]? taps = decoder is null ? null : [.. Enumerable.Range(0, Math.Max(1, decoder.Taps.Count - 1))];
        long Step(IDenoiser network, bool checkpoint) =>
            ActivationEstimate.OfStep(network, decoder, batch, new StepShape(checkpoint, Taps: taps));
        var activations = trained.Network is IDenoiser denoising
            ? Step(denoising, checkpoint: false)
            : ActivationEstimate.OfAutoencoder((IAutoencoder)trained.Network, Side, batch, frozen: false);
        long? recomputed = trained.Network is IDenoiser recomputing ? Step(recomputing, checkpoint: true) : null;
        var average = trained.Parameters.Count * sizeof(float);
        var own = optimiser.WeightBytes(trained.Parameters.Trained);
        var weights = (summaries.Sum(static s => s.Parameters.Count) * sizeof(float)) - average + own;
        long State(OptimiserKind kind) => (optimiser with { Kind = kind }).StateBytes(trained.Parameters.Trained);
        var total = weights + own + State(optimiser.Kind) + average + activations;
        var (main, gpu) = (MachineChecks.AvailableBytes(), CudaStatus.Read().Devices > 0 ? DeviceMemory.Of(Device.Cuda())?.Free : null);
        return new TrainingMemory(
            trained.ClassName,
            batch,
            weights,
            own,
            State(optimiser.Kind),
            average,
            activations,
            recomputed,
            total,
            main,
            gpu,
            main is null ? null : total <= main,
            gpu is null ? null : total <= gpu,
            OptimiserOptions.NameOf(optimiser.Kind),
            Enum.GetValues<OptimiserKind>().ToDictionary(OptionValue.Of, State, StringComparer.Ordinal)
        );
    }

    private static bool IsFirstFactor(string key) =>
        key.Contains(".lora_A.", StringComparison.Ordinal)
        || key.Contains("lora_down", StringComparison.Ordinal)
        || key.Contains(".lora.down", StringComparison.Ordinal);

    private static long SizeOf(string folder) =>
        Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(static f => f.Length) : 0;
}
