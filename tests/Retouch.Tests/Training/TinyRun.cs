using System.Text.Json.Nodes;
using Retouch.Tests.Goldens;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training;

/// <summary>Options of short runs, and access to their results.</summary>
internal static class TinyRun
{
    /// <summary>A DiT on latents of the golden's autoencoder: 11 procedural scenes of 16 pixels in batches of 2 × 2, so that epochs end
    /// within a step.</summary>
    public static TrainingOptions Denoiser(
        string objective = """{ "perceptual": { "weight": { "share": 0.2, "warmUp": 9 } }, "decodeBatch": 2 }""",
        bool cacheLatents = false,
        string set = "{}"
    )
    {
        var json = JsonNode
            .Parse(
                $$"""
                {
                  "task": "denoiser", "seed": 5, "steps": 9,
                  "model": {
                    "config": { "_class_name": "DiTTransformer2DModel", "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4,
                    "out_channels": 4, "num_layers": 1,
                      "sample_size": 4, "patch_size": 2, "num_embeds_ada_norm": 10, "norm_num_groups": 1 },
                    "scheduler": { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
                    "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
                      "prediction_type": "v_prediction" }
                  },
                  "objective": {{objective}},
                  "data": { "sceneCount": 11, "size": 16, "workers": 2 },
                  "batch": { "size": 2, "accumulate": 2 },
                  "averages": [ { "decay": 0.9 }, { "decay": 0.99, "warmup": "ratio" } ],
                  "checkpoints": { "every": 4, "keep": 2 }, "samples": { "every": 0 }
                }
                """
            )!
            .AsObject();
        json["model"]!["autoencoder"] = TinyModel.AutoencoderFolder;
        json["data"]![cacheLatents ? "cacheLatents" : "flip"] = cacheLatents ? true : 0.5;
        foreach (var (path, value) in JsonNode.Parse(set)!.AsObject())
            OptionsFile.Set(json, path, value?.DeepClone());
        return OptionsFile.Bind<TrainingOptions>(json, "test");
    }

    /// <summary>Trains to the end; returns the folder of the run.</summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="folder">New folder.</param>
    /// <param name="progress">Receives notes and steps, or null.</param>
    public static string Train(TrainingOptions options, string folder, IProgressLine? progress = null)
    {
        using var run = TrainingRun.Start(options, folder, TimeProvider.System);
        return run.Train(progress).Run;
    }

    /// <summary>Resumes a run and trains to the end; returns the folder of the run.</summary>
    public static string Resume(string folder, IProgressLine? progress = null, long? steps = null)
    {
        using var run = TrainingRun.Resume(folder, steps, TimeProvider.System);
        return run.Train(progress).Run;
    }

    /// <summary>Trains until a progress is reported.</summary>
    /// <param name="options">Options of the run.</param>
    /// <param name="folder">New folder.</param>
    /// <param name="stops">Whether to stop.</param>
    public static void TrainUntil(TrainingOptions options, string folder, Func<TrainingProgress, bool> stops)
    {
        using var stop = new CancellationTokenSource();
        using var run = TrainingRun.Start(options, folder, TimeProvider.System);
        using var probe = new ProgressProbe(p =>
        {
            if (stops(p))
                stop.Cancel();
        });
        Assert.Throws<OperationCanceledException>(() => run.Train(probe, stop.Token));
    }

    /// <summary>All files of a run that must not depend on interruptions, by path.</summary>
    public static SortedDictionary<string, byte[]> WeightFiles(string run)
    {
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(run, "*.safetensors", SearchOption.AllDirectories))
            files.Add(Path.GetRelativePath(run, file), File.ReadAllBytes(file));
        return files;
    }

    /// <summary>The log without values that depend on clock or machine.</summary>
    public static string[] Metrics(string run) =>
        [
            .. MetricsReader
                .Read(Path.Combine(run, "metrics.jsonl"))
                .Select(static r =>
                    r.Step
                    + ": "
                    + string.Join(
                        ", ",
                        r.Values.Where(static v =>
                                !v.Key.StartsWith("time/", StringComparison.Ordinal)
                                && !v.Key.StartsWith("memory/", StringComparison.Ordinal)
                            )
                            .Select(static v => $"{v.Key}={v.Value:R}")
                    )
                ),
        ];
}

/// <summary>No display; stores notes, and calls back after each step.</summary>
internal sealed class ProgressProbe(Action<TrainingProgress>? onStep = null) : IProgressLine
{
    public List<string> Notes { get; } = [];

    public List<TrainingProgress> Steps { get; } = [];

    public void Report(TrainingProgress progress)
    {
        Steps.Add(progress);
        onStep?.Invoke(progress);
    }

    public void Note(string message) => Notes.Add(message);

    public void Dispose()
    {
        // Shows nothing.
    }
}
