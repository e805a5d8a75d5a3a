using System.CommandLine;
using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Evaluation.Pictures;
using Retouch.Experiments.Sampling;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training.Distributed;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch compare</c>: several folders of pictures, or models sampled with the same seeds, against real pictures and against the
/// first set.
/// </summary>
internal static class CompareCommand
{
    private const int DefaultSamples = 64;
    private const int DefaultSteps = 50;

    private static readonly Argument<string[]> Sets = new("folders")
    {
        Description =
            "Folders of pictures, or models in the diffusers layout (or adapters with a known base model); the first is the "
            + "baseline. Pictures of the same names (models: of the same seeds) count as pairs.",
        Arity = ArgumentArity.OneOrMore,
    };

    private static readonly Option<string[]> Names = new("--names")
    {
        Description = "Names of the folders in tables and reports, in their order. Default: the paths.",
        AllowMultipleArgumentsPerToken = true,
    };

    // No default values: explicit options are an error for folders of pictures, where they have no effect.
    private static readonly Option<int?> Samples = new("--samples")
    {
        Description = $"For models: pictures per model. Default {DefaultSamples}.",
    };
    private static readonly Option<int?> Steps = new("--steps") { Description = $"For models: sampler steps. Default {DefaultSteps}." };
    private static readonly Option<double?> Guidance = new("--guidance")
    {
        Description =
            "For models: scale of classifier-free guidance. Default: 1.5 for classes (2 at 512 pixels), for prompts that of the first "
            + "model's family.",
    };
    private static readonly Option<ulong?> SampleSeed = new("--sample-seed")
    {
        Description = "For models: seed of the first picture, the same for every model. Default 0.",
    };
    private static readonly Option<string[]> Class = SharedOptions.Class(
        "For class-conditional models: classes in rotation, by name or number; default: all."
    );

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var measuring = new MeasuringOptions();
        var command = new Command(
            "compare",
            "Measure folders of pictures, or samples of models with the same seeds, against real pictures and against the first."
        )
        {
            Sets,
            Names,
            Samples,
            Steps,
            Guidance,
            SampleSeed,
            Class,
        };
        measuring.AddTo(command, compares: true);
        command.SetAction(
            (parsed, cancellation) =>
                ProcessFlag.Run(parsed, measuring.Processes, world => Run(parsed, measuring, world, cancellation), cancellation)
        );
        return command;
    }

    private static void Run(ParseResult parsed, MeasuringOptions measuring, World? world, CancellationToken cancellation)
    {
        var given = Array.ConvertAll(parsed.GetValue(Sets)!, parsed.ModelAt);
        if (given.Length < 2)
            throw new UsageException("A comparison needs at least two folders; use 'retouch evaluate' for a single one.");
        var names = NamesOf(parsed, given);
        var models = given.Where(IsModel).ToArray();
        // One guidance scale for all models: guidance must not be part of the comparison.
        double? guidance = parsed.GetValue(Guidance);
        var inert = ((Option[])[Samples, Steps, Guidance, SampleSeed, Class])
            .Where(o => parsed.GetResult(o) is not null)
            .Select(static o => o.Name)
            .ToArray();
        if (models.Length == 0 && inert.Length > 0)
            throw new UsageException(
                $"{string.Join(", ", inert)}: only for models in the diffusers layout; none of the folders is one (" + $"model_index.json)."
            );
        EvaluateCommand.With(
            parsed,
            measuring,
            world,
            options =>
            {
                var preparation = measuring.Preparation(parsed);
                var reference = measuring.Reference(parsed);
                options.Check(reference);
                using var scope = TensorScope.Enter();
                EvaluateCommand.Run(
                    parsed,
                    measuring,
                    reference,
                    [
                        .. given.Zip(
                            names,
                            (folder, name) =>
                                IsModel(folder)
                                    ? Draw(parsed, folder, name, ref guidance, options.Device, world, cancellation)
                                    : ImageSet.From(name, ImageFolder.Open(folder), preparation, folder)
                        ),
                    ],
                    options,
                    cancellation
                );
            }
        );
    }

    private static string[] NamesOf(ParseResult parsed, string[] folders)
    {
        if (parsed.GetValue(Names) is not { Length: > 0 } names)
            return folders;
        if (names.Length != folders.Length)
            throw new UsageException($"--names: {names.Length} names for {folders.Length} folders; give one per folder, in their order.");
        return Array.TrueForAll(names, static n => n.Trim().Length > 0) && names.Distinct(StringComparer.Ordinal).Count() == names.Length
            ? names
            : throw new UsageException("--names: two names are equal or one is empty.");
    }

    private static bool IsModel(string folder) => LatentDiffusionPipeline.IsAt(folder);

    private static ImageSet Draw(
        ParseResult parsed,
        string folder,
        string name,
        ref double? guidance,
        Device device,
        World? world,
        CancellationToken cancellation
    )
    {
        using var pipeline = LatentDiffusionPipeline.Load(folder, device);
        guidance ??= pipeline.DefaultGuidance(pipeline.NativeSize, pipeline.NativeSize);
        var count = parsed.GetValue(Samples) ?? DefaultSamples;
        var request = new PipelineSampling
        {
            Seeds = PipelineSampling.SeedsFrom(parsed.GetValue(SampleSeed) ?? 0, count),
            Labels = ClassRotation.Of(pipeline, parsed.GetValue(Class) ?? [], count),
            Width = pipeline.NativeSize,
            Height = pipeline.NativeSize,
            Steps = parsed.GetValue(Steps) ?? DefaultSteps,
            Guidance = new(guidance.Value),
        };
        if (world is not { IsMain: false })
            parsed.InvocationConfiguration.Error.WriteLine(
                $"sampling {request.Seeds.Count} pictures from {folder}: {request.Steps} steps, guidance "
                    + $"{guidance.Value.ToString(CultureInfo.InvariantCulture)} …"
            );
        return ImageSet.From(
            name,
            PictureTensors.ToTensor(
                world is null
                    ? PipelineSampler.Sample(pipeline, request, device, cancellation: cancellation)
                    : SharedSampling.Gather(pipeline, request, device, world, cancellation)
            ),
            request.Labels is { } labels ? [.. labels.Select(pipeline.Labels.GetValueOrDefault)] : null,
            folder
        );
    }
}
