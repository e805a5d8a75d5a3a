using System.CommandLine;
using Retouch.Cli.Terminal;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary>Result of <c>retouch cache</c>.</summary>
/// <param name="Folder">Folder of the cache.</param>
/// <param name="Pictures">Number of pictures with cached latents.</param>
/// <param name="Captions">Number of captions with cached embeddings; 0 for a model without prompts.</param>
/// <param name="Seconds">Duration in seconds.</param>
internal sealed record CacheResult(string Folder, int Pictures, int Captions, double Seconds);

/// <summary><c>retouch cache</c>: encodes pictures and captions before training, as <c>data.cache</c> does on the first run.</summary>
internal static class CacheCommand
{
    private static readonly Option<string> Model = new("--model") { Description = "A pipeline in the diffusers layout.", Required = true };
    private static readonly Option<string> Data = new("--data") { Description = "A folder of pictures.", Required = true };
    private static readonly Option<string> Cache = new("--output")
    {
        Description = "Folder of the cache; an existing cache is completed.",
        Required = true,
    };
    private static readonly Option<int?> Size = new("--size")
    {
        Description = "Side of the pictures in pixels; default: the denoiser's native size.",
    };
    private static readonly Option<bool> Enlarge = new("--allow-enlarging")
    {
        Description = "Enlarge pictures that are smaller than the size.",
    };

    private static readonly Option<int> Batch = SharedOptions.BatchSize(
        TrainingRun.EncodedAtOnce,
        "Batch size: pictures encoded at once. Latents of other batch sizes differ by rounding."
    );

    public static Command Create()
    {
        var command = new Command("cache", "Encode pictures and captions for later runs (data.cache, data.cacheLatents).")
        {
            Model,
            Data,
            Cache,
            Size,
            Enlarge,
            SharedOptions.Device,
            Batch,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                var result = Run(parsed, cancellation);
                Output
                    .For(parsed)
                    .Write(
                        result,
                        writer =>
                            writer.WriteLine(
                                $"{result.Pictures} pictures and {result.Captions} captions in {result.Seconds:0.#} s: {result.Folder}"
                            )
                    );
                return Task.FromResult(0);
            }
        );
        return command;
    }

    private static CacheResult Run(ParseResult parsed, CancellationToken cancellation)
    {
        var model = Path.GetFullPath(parsed.ModelAt(parsed.GetRequiredValue(Model)));
        var size = parsed.GetValue(Size) ?? Pipelines.Diffusers.LatentDiffusionPipeline.NativeSizeOf(model);
        var options = new TrainingOptions
        {
            Task = TrainingTaskKind.Denoiser,
            Steps = 1,
            Device = parsed.GetDevice().ToString(),
            Model = new ModelOptions { Path = model },
            Objective = new(),
            Batch = new BatchOptions { Size = 1 },
            Data = new DataOptions
            {
                Folder = parsed.GetRequiredValue(Data),
                Size = size,
                AllowEnlarging = parsed.GetValue(Enlarge),
                CacheLatents = true,
                Cache = parsed.GetRequiredValue(Cache),
            },
        };
        var start = TimeProvider.System.GetTimestamp();
        using var run = TrainingRun.Start(options, null, TimeProvider.System);
        using var progress = ProgressLines.Create(
            TerminalFacts.OfStandardError(),
            parsed.InvocationConfiguration.Error,
            TimeProvider.System
        );
        var (pictures, captions) = run.FillCache(progress, cancellation, parsed.GetValue(Batch));
        return new CacheResult(options.Data.Cache!, pictures, captions, TimeProvider.System.GetElapsedTime(start).TotalSeconds);
    }
}
