using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Objectives.Preference;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Training.Caching;
using Retouch.Training.Options;
using Retouch.Training.Tasks;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>Precomputes the reference model's errors for the steps of a run, with the network before its first step.</summary>
/// <param name="task">Task with its initial weights.</param>
/// <param name="options">Validated options.</param>
/// <param name="plan">Order of the pairs.</param>
/// <param name="open">Opens the data at a cursor, as in training.</param>
internal sealed class ReferencePass(PreferenceTask task, TrainingOptions options, BatchPlan plan, Func<DataCursor, IBatchSource> open)
{
    /// <summary>Computes missing errors and passes them to the task.</summary>
    /// <param name="pairs">The pairs.</param>
    /// <param name="folder">Folder for the errors; null to keep them in memory.</param>
    /// <param name="steps">Number of steps.</param>
    /// <param name="progress">Progress display, or null.</param>
    /// <param name="cancellation">Stops between micro-batches; errors written so far remain.</param>
    /// <exception cref="Core.Errors.InputException">The folder's errors were computed with different inputs; the message lists the
    /// differences.</exception>
    public void Run(IPictureSource pairs, string? folder, long steps, IProgressLine? progress, CancellationToken cancellation)
    {
        var store = folder is null ? null : RowStore.Open(folder, Key(task.Inner.Pipeline, options, pairs));
        var errors = new ReferenceErrors(PairErrors.SpacesOf(options.Objective!.Preference!.Space), store);
        task.Reference = errors;
        var accumulate = options.Batch.Accumulate;
        var (done, all) = ((long)errors.Count / options.Batch.Size, steps * accumulate);
        if (done >= all)
            return;
        progress?.Note($"Computing the reference model's errors for {Figures.Count(steps, "step")} …");
        var cursor = default(DataCursor);
        for (var k = 0L; k < done; k++)
            cursor = plan.At(cursor).Next;
        using var data = open(cursor);
        try
        {
            for (var k = done; k < all; k++)
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = TensorScope.Enter();
                var batch = data.Next(cancellation);
                var seeds = new StepSeeds(options.Seed, k / accumulate, (int)(k % accumulate));
                errors.Add(batch, seeds, task.ErrorsOf(batch, seeds));
                if ((k + 1) % accumulate == 0)
                    progress?.Report(new TrainingProgress((k + 1) / accumulate, steps) { Unit = "reference step" });
            }
        }
        finally
        {
            errors.Flush();
        }
    }

    /// <summary>
    /// All dependencies of the errors. Options of the loss or the optimiser are not included: runs that differ in β or learning rate share
    /// their errors.
    /// </summary>
    private static JsonObject Key(LatentDiffusionPipeline pipeline, TrainingOptions options, IPictureSource pairs)
    {
        static JsonNode? Json<T>(T part) => JsonNode.Parse(OptionsFile.Write(part));
        var encoders = pipeline.PromptFolder is { } prompts ? PromptEncoders.FoldersOf(prompts).Select(ComponentHash.Of) : [];
        var usual = new PreferenceOptions();
        var key = new JsonObject
        {
            ["kind"] = "reference errors",
            ["denoiser"] = ComponentHash.OfNetwork(pipeline.Denoiser),
            ["autoencoder"] = ComponentHash.OfNetwork(pipeline.Autoencoder),
            ["encoders"] = new JsonArray([.. encoders.Select(static h => (JsonNode?)h)]),
            ["scheduler"] = pipeline.SchedulerConfig.DeepClone(),
            ["pairs"] = HashOf(pairs),
            ["seed"] = options.Seed,
            ["device"] = Device.Parse(options.Device).Type.ToString(),
            ["precision"] = options.Precision,
            ["batch"] = Json(options.Batch),
            ["data"] = Json(
                options.Data with
                {
                    Folder = null,
                    Pairs = null,
                    PairConflicts = default,
                    Workers = 1,
                    Cache = null,
                    MaxBadShare = Quarantine.DefaultMaxShare,
                }
            ),
            ["times"] = Json(options.Times),
            ["conditioning"] = Json(options.Conditioning),
            ["preference"] = Json(
                options.Objective!.Preference! with
                {
                    Link = usual.Link,
                    Beta = null,
                    PixelBeta = null,
                    Scaling = null,
                    Weight = usual.Weight,
                    PixelWeight = null,
                    Divergence = usual.Divergence,
                }
            ),
        };
        if (options.Objective.DecodeCrop is { } crop)
            key["windows"] = new JsonArray(crop, options.Objective.DecodeHalo);
        return key;
    }

    /// <summary>SHA-256 over the metadata of every pair and the stamps of its files.</summary>
    private static string HashOf(IPictureSource pairs)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var k = 0; k < pairs.Count; k++)
        {
            var loser = pairs is IPairSource both ? both.Loser(k).Id : "";
            hash.AppendData(
                Encoding.UTF8.GetBytes(new JsonArray(pairs[k].Id, loser, pairs.Stamp(k), pairs[k].Label, pairs[k].Caption).ToJsonString())
            );
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
