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

/// <summary>Computes what DPO's reference makes of the steps of a run, with the network as it is before the first of them.</summary>
/// <param name="task">What will be trained; its weights are still those that it starts from.</param>
/// <param name="options">Validated options.</param>
/// <param name="plan">The order of the pairs.</param>
/// <param name="open">Opens the data at a cursor, as for the training.</param>
internal sealed class ReferencePass(PreferenceTask task, TrainingOptions options, BatchPlan plan, Func<DataCursor, IBatchSource> open)
{
    /// <summary>Computes what is missing and gives it to the task.</summary>
    /// <param name="pairs">The pairs.</param>
    /// <param name="folder">Keeps the errors; null keeps them in memory.</param>
    /// <param name="steps">Steps that they are needed for.</param>
    /// <param name="progress">Shows how far it is; null where nobody looks.</param>
    /// <param name="cancellation">Stops between micro-batches; what is there by then stays.</param>
    /// <exception cref="Core.Errors.InputException">The folder's errors were computed with something else; the differences are
    /// named.</exception>
    public void Run(IPictureSource pairs, string? folder, long steps, IProgressLine? progress, CancellationToken cancellation)
    {
        var store = folder is null ? null : RowStore.Open(folder, Key(task.Inner.Pipeline, options, pairs));
        var errors = new ReferenceErrors(PairErrors.SpacesOf(options.Objective!.Preference!.Space), store);
        task.Reference = errors;
        var accumulate = options.Batch.Accumulate;
        var (done, all) = ((long)errors.Count / options.Batch.Size, steps * accumulate);
        if (done >= all)
            return;
        progress?.Note($"Computing the reference's errors for {Figures.Count(steps)} steps …");
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
                var seeds = new StepSeeds(options.Seed, k / accumulate, (int)(k % accumulate), 0);
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
    /// All that the errors depend on. What only the loss or the optimiser reads is not in it: runs that differ in β or the rate share their
    /// reference.
    /// </summary>
    private static JsonObject Key(LatentDiffusionPipeline pipeline, TrainingOptions options, IPictureSource pairs)
    {
        static JsonNode? Json<T>(T part) => JsonNode.Parse(OptionsFile.Write(part));
        var encoders = pipeline.PromptFolder is { } prompts ? PromptEncoders.FoldersOf(prompts).Select(ComponentHash.Of) : [];
        var usual = new PreferenceOptions();
        return new JsonObject
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
    }

    /// <summary>SHA-256 over what is known of every pair, and stamps of its files.</summary>
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
