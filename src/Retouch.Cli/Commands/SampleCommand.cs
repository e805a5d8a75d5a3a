using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Experiments.Sampling;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Training.Distributed;
using Retouch.Training.Telemetry;

namespace Retouch.Cli.Commands;

/// <summary>Result of <c>retouch sample</c>.</summary>
/// <param name="Folder">Folder of the pictures.</param>
/// <param name="Count">Number of pictures.</param>
/// <param name="Sampler">Name of the sampler.</param>
/// <param name="Seconds">Duration in seconds, without loading.</param>
/// <param name="TakenOver">Number of existing pictures of a resumed run; null otherwise.</param>
/// <param name="ContactSheet">Page with the pictures.</param>
internal sealed record SampleResult(string Folder, int Count, string Sampler, double Seconds, int? TakenOver, string ContactSheet);

/// <summary><c>retouch sample</c>: samples pictures from a diffusers folder, with the seed of each recorded.</summary>
internal static class SampleCommand
{
    private static readonly Option<string> Model = new("--model")
    {
        Description = "A pipeline in the diffusers layout, or adapters with a known base model.",
        Required = true,
    };
    private static readonly Option<string> OutputFolder = new("--output")
    {
        Description = "Folder for the pictures; new or empty.",
        Required = true,
    };
    private static readonly Option<int?> Count = new Option<int?>("--count")
    {
        Description = "Number of pictures, default 16; determined by the prompts, if given.",
    }.Within(new() { AtLeast = 1 });
    private static readonly Option<ulong> Seed = new("--seed")
    {
        Description = "Seed of the first picture, incremented for each picture. The noise of a picture depends only on its seed.",
        DefaultValueFactory = static _ => 0,
    };
    private static readonly Option<string?> SamplerName = new("--sampler")
    {
        Description =
            $"One of {string.Join(", ", SamplerNames.All)}; -karras after a name: noise levels of Karras et al. Default: the model's.",
    };
    private static readonly Option<int> Steps = new Option<int>("--steps")
    {
        Description = "Sampler steps.",
        DefaultValueFactory = static _ => 50,
    }.Within(new() { AtLeast = 1 });
    private static readonly Option<double?> Guidance = new("--guidance")
    {
        Description =
            "Scale of classifier-free guidance; 1: none. Default: 1.5 for classes (2 at 512 pixels), for prompts the default of the "
            + "model's family (7.5, 5, 7, 4.5 for Stable Diffusion, SDXL, SD 3, PixArt).",
    };
    private static readonly Option<double> Rescale = new("--guidance-rescale")
    {
        Description = "Rescales the guided output to the standard deviation of the conditional one, 0 to 1.",
    };
    private static readonly Option<double[]> Interval = new("--guidance-interval")
    {
        Description =
            "Guidance only between these fractions of the largest timestep, as 0.1 0.8; outside, the network runs unguided, once per step.",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<string?> Size = new("--size")
    {
        Description = "Size in pixels: a side (512) or width x height (768x512); default: the denoiser's native size.",
    };
    private static readonly Option<int?> Width = new("--width") { Description = "Width in pixels, instead of --size." };
    private static readonly Option<int?> Height = new("--height") { Description = "Height in pixels, instead of --size." };
    private static readonly Option<string[]> Class = SharedOptions.Class("Classes in rotation, by name or number; default: all.");
    private static readonly Option<bool> Resume = new("--resume")
    {
        Description = "Resume an interrupted run in --output with the same options; more pictures are allowed. Existing ones are kept.",
    };
    private static readonly Option<string> Precision = SharedOptions.Precision();
    private static readonly Option<int> Batch = SharedOptions.BatchSize(16);

    private static readonly Option<int?> Processes = ProcessFlag.Create(
        "Sample with this number of processes on this machine, which take the batches in turn. See docs/scaling.md for other launchers."
    );

    private static readonly LoraFlags Lora = new();

    public static Command Create()
    {
        var command = new Command("sample", "Sample pictures from a model.")
        {
            Model,
            OutputFolder,
            Count,
            Seed,
            SamplerName,
            Steps,
            Guidance,
            Rescale,
            Interval,
            Size,
            Width,
            Height,
            Class,
            SharedOptions.Device,
            Precision,
            Batch,
            Resume,
            Processes,
        };
        PromptOptions.AddTo(command);
        Lora.AddTo(command);
        command.SetAction(
            (parsed, cancellation) =>
                ProcessFlag.Run(
                    parsed,
                    Processes,
                    world =>
                    {
                        var result = Run(parsed, world, cancellation);
                        if (world is { IsMain: false })
                            return;
                        var there = result.TakenOver is { } before ? $" ({before} existing)" : "";
                        Output
                            .For(parsed)
                            .Write(
                                result,
                                writer =>
                                    writer.WriteLine(
                                        $"{Figures.Count(result.Count, "picture")}{there} with {result.Sampler} in {result.Seconds:0.#} s: "
                                            + $"{result.Folder} (all on one page: {Path.GetFileName(result.ContactSheet)})"
                                    )
                            );
                    },
                    cancellation
                )
        );
        return command;
    }

    private static SampleResult Run(ParseResult parsed, World? world, CancellationToken cancellation)
    {
        var folder = Path.GetFullPath(parsed.GetRequiredValue(OutputFolder));
        var goesOn = parsed.GetValue(Resume) && !SampledFolder.IsNew(folder);
        if (!goesOn && File.Exists(Path.Combine(folder, SamplingRecord.FileName)))
            throw new UsageException(
                $"'{folder}' contains an earlier run. Resume it with --resume, or choose another " + $"folder with --output."
            );
        if (!goesOn)
            SampledFolder.Check(folder);
        var prompts = PromptOptions.Read(parsed);
        if (prompts is not null && (parsed.GetValue(Count) is not null || parsed.GetValue(Class) is { Length: > 0 }))
            throw new UsageException("--count and --class cannot be combined with prompts; use --images-per-prompt.");
        var count = prompts?.Count ?? parsed.GetValue(Count) ?? 16;
        var size = SizeOf(parsed.GetValue(Size), parsed.GetValue(Width), parsed.GetValue(Height));
        var named = parsed.GetValue(SamplerName) is { } name ? SamplerNames.Parse(name) : ((Solver, SigmaSpacing)?)null;
        var adapters = Lora.Read(parsed);
        var device = parsed.GetDevice(world);
        var precision = parsed.GetPrecision(Precision, device);
        var model = parsed.ModelAt(parsed.GetRequiredValue(Model));
        using var pipeline = LatentDiffusionPipeline.Load(model, device);
        LoraFlags.Merge(pipeline, adapters);
        LoraFlags.Warn(pipeline, parsed.InvocationConfiguration.Error);
        var sampler = SamplerOf(pipeline, named, parsed.InvocationConfiguration.Error);
        var request = pipeline.Request(PipelineSampling.SeedsFrom(parsed.GetValue(Seed), count), size?.Width, size?.Height);
        var guidance = GuidanceOf(parsed, request.Guidance.Scale);
        guidance.Validate();
        request = request with
        {
            Steps = parsed.GetValue(Steps),
            Guidance = guidance,
            BatchSize = parsed.GetValue(Batch),
            Precision = precision,
            Sampler = sampler,
            Labels = prompts is null ? ClassRotation.Of(pipeline, parsed.GetValue(Class) ?? [], count) : null,
        };
        if (prompts is not null)
        {
            var error = parsed.InvocationConfiguration.Error;
            request = pipeline.Prompted(request, prompts, device, PromptOptions.NegativeOf(parsed), n => error.WriteLine($"note: {n}"));
        }

        var start = TimeProvider.System.GetTimestamp();
        var written = new SampledFolder(folder, pipeline, request, prompts) { Adapters = adapters };
        var record = SamplingRecord.Of(model, adapters, PromptOptions.NegativeOf(parsed), guidance, precision);
        if (goesOn)
        {
            record.CheckAgainst(folder);
            written.TakeOver();
        }

        var takenOver = goesOn ? written.Count : (int?)null;
        var isMain = world is not { IsMain: false };
        // All processes have looked at the folder.
        world?.Barrier("prepare sampling");
        if (written.Count < count)
        {
            using var progress = isMain
                ? ProgressLines.Create(TerminalFacts.OfStandardError(), parsed.InvocationConfiguration.Error, TimeProvider.System)
                : null;
            SharedSampling.Run(
                pipeline,
                request,
                // Batches as in an uninterrupted run: rounding depends on the batch size.
                written.Count - (written.Count % request.BatchSize),
                device,
                world,
                Take,
                Complete,
                (done, total) => progress?.Report(new TrainingProgress(done, total) { Unit = "sampler step" }),
                cancellation
            );
        }

        if (isMain)
            written.WriteContactSheet(Path.GetFileName(model.TrimEnd(Path.DirectorySeparatorChar)));
        return new SampleResult(
            folder,
            count,
            SamplerNames.Of(sampler),
            TimeProvider.System.GetElapsedTime(start).TotalSeconds,
            takenOver,
            Path.Combine(folder, ContactSheet.FileName)
        );

        void Take(int first, IReadOnlyList<Picture> pictures)
        {
            // Written with the first pictures: a failed run leaves no folder.
            if (isMain && first == 0)
                record.Write(folder);
            written.Write(first, pictures);
        }

        void Complete(int all)
        {
            if (isMain)
                written.Complete(all);
        }
    }

    /// <summary>Requested size; null for the native size.</summary>
    internal static (int Width, int Height)? SizeOf(string? size, int? width, int? height)
    {
        if (size is null && width is null && height is null)
            return null;
        if (size is not null && (width ?? height) is not null)
            throw new UsageException("--size cannot be combined with --width or --height.");
        if (size is null)
            return width is { } w && height is { } h
                ? (w, h)
                : throw new UsageException("--width and --height must be given together; or give --size.");
        var sides = size.Split('x', 'X');
        if (
            sides.Length > 2
            || !Array.TrueForAll(
                sides,
                static s => int.TryParse(s, NumberStyles.None, CultureInfo.InvariantCulture, out var side) && side > 0
            )
        )
            throw new UsageException($"--size '{size}': give a side in pixels (512), or width and height (768x512).");
        var numbers = Array.ConvertAll(sides, static s => int.Parse(s, CultureInfo.InvariantCulture));
        return (numbers[0], numbers[^1]);
    }

    private static Guidance GuidanceOf(ParseResult parsed, double usual)
    {
        var guidance = new Guidance(parsed.GetValue(Guidance) ?? usual, parsed.GetValue(Rescale));
        return (parsed.GetValue(Interval) ?? []) switch
        {
            [] => guidance,
            [var from, var to] => guidance with { From = from, To = to },
            var other => throw new UsageException($"--guidance-interval needs two numbers, not {other.Length}."),
        };
    }

    /// <summary>Default sampler of the model, or the given one with the model's timesteps.</summary>
    private static SamplerOptions SamplerOf(LatentDiffusionPipeline pipeline, (Solver Solver, SigmaSpacing Sigmas)? named, TextWriter error)
    {
        var (options, note) = SchedulerConfig.Read(pipeline.SchedulerConfig, solver: named?.Solver);
        if (note is not null)
            error.WriteLine($"note: {note}");
        options = named is { Sigmas: not SigmaSpacing.Schedule } given ? options with { Sigmas = given.Sigmas } : options;
        return options.Validate(pipeline.CreateFormulation(), "--sampler") is { Count: > 0 } problems
            ? throw new UsageException(string.Join('\n', problems))
            : options;
    }
}
