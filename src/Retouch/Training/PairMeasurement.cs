using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Objectives;
using Retouch.Objectives.Preference;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Measurements in one space.</summary>
/// <param name="Accuracy">Implicit accuracy: fraction of pairs and draws in which the model, relative to the reference model, improved on
/// the winner more than on the loser; ties count half.</param>
/// <param name="Winner">Mean error on winners.</param>
/// <param name="Loser">Mean error on losers.</param>
/// <param name="ReferenceWinner">Reference model's mean error on winners.</param>
/// <param name="ReferenceLoser">Reference model's mean error on losers.</param>
public sealed record PairFigures(double Accuracy, double Winner, double Loser, double ReferenceWinner, double ReferenceLoser);

/// <summary>Preference accuracy of a model on pairs, relative to the model before training.</summary>
/// <param name="Pairs">Number of pairs.</param>
/// <param name="Draws">Draws of timestep and noise per pair.</param>
/// <param name="Latent">Measurements on the network's output.</param>
/// <param name="Pixel">Measurements after decoding, on the remixed latent.</param>
/// <param name="Drift">Mean squared difference of the two models' predictions.</param>
public sealed record PairMeasurement(int Pairs, int Draws, PairFigures Latent, PairFigures Pixel, double Drift)
{
    /// <summary>Measures a model.</summary>
    /// <param name="model">Pipeline in diffusers layout.</param>
    /// <param name="reference">Pipeline before training.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="size">Picture side in pixels.</param>
    /// <param name="draws">Draws of timestep and noise per pair, at least 1.</param>
    /// <param name="seed">Seed of the draws.</param>
    /// <param name="device">Compute device.</param>
    /// <param name="time">Clock.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <exception cref="RetouchException">A model or the pairs are invalid.</exception>
    public static PairMeasurement Measure(
        string model,
        string reference,
        IPairSource pairs,
        int size,
        int draws,
        ulong seed,
        Device device,
        TimeProvider time,
        CancellationToken cancellation
    )
    {
        ArgumentNullException.ThrowIfNull(pairs);
        if (draws < 1)
            throw new UsageException($"{draws} draws per pair; at least 1 is needed.");
        using var before = LatentDiffusionPipeline.Load(reference, device);
        var pipeline = LatentDiffusionPipeline.Load(model, device);
        var options = new TrainingOptions
        {
            Data = new() { Size = size },
            Objective = new ObjectiveOptions { Preference = new PreferenceOptions { Space = PreferenceSpace.Both } },
            Conditioning = pipeline.Denoiser.ClassCount is null ? new() : new() { Dropout = 0 },
        };
        using var task = new PreferenceTask(
            new DenoiserTask(pipeline, options, device, DType.Float32),
            options,
            new FrozenReference(before.CopyDenoiser(), pipeline.CreateFormulation())
        );
        pairs = (IPairSource)task.Accept(pairs, static _ => { });
        const int Batch = 16;
        var plan = new BatchPlan(
            pairs.Count,
            new BatchPlanOptions
            {
                BatchSize = Math.Min(Batch, pairs.Count),
                Shuffle = false,
                End = EpochEnd.Short,
            }
        );
        var framing = new Framing
        {
            Width = size,
            Height = size,
            ShrinkOnLoad = false,
        };
        var sums = new Dictionary<string, HealthFigure>(StringComparer.Ordinal);
        for (var draw = 0; draw < draws; draw++)
        {
            var loader = new SampleLoader(pairs, plan, framing, new Quarantine(pairs.Count, 0));
            using var batches = new PictureBatches(new Prefetcher(plan, loader, new PrefetchOptions(), time), device);
            for (var k = 0; k < plan.BatchesPerEpoch; k++)
            {
                using var scope = TensorScope.Enter();
                using var quiet = Autograd.NoGrad();
                var batch = batches.Next(cancellation);
                foreach (var (name, value) in task.Evaluate(batch, new StepSeeds(seed, draw, k)).Loss.Figures)
                    sums[name] = sums.TryGetValue(name, out var seen) ? seen.Plus(value) : value;
            }
        }

        double Figure(string name) => sums[name].Value;
        PairFigures Of(string n) =>
            new(
                Figure($"{n}/accuracy"),
                Figure($"{n}/winner"),
                Figure($"{n}/loser"),
                Figure($"{n}/reference_winner"),
                Figure($"{n}/reference_loser")
            );
        return new PairMeasurement(pairs.Count, draws, Of("preference_latent"), Of("preference_pixel"), Figure("preference/drift"));
    }

    /// <summary>Prints the measurements as text.</summary>
    public void Print(TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteLine(
            $"{Pairs} pairs, {Draws} draws of timestep and noise each; drift from the reference model {Figures.Significant(Drift)}"
        );
        var table = new ColumnTable(
            writer,
            ("", -8),
            ("accuracy", 10),
            ("winner", 12),
            ("reference", 12),
            ("loser", 12),
            ("reference", 12)
        );
        foreach (var (name, f) in new[] { ("latent", Latent), ("pixel", Pixel) })
        {
            table.Row(
                name,
                f.Accuracy.ToString("0.000", CultureInfo.InvariantCulture),
                Figures.Significant(f.Winner),
                Figures.Significant(f.ReferenceWinner),
                Figures.Significant(f.Loser),
                Figures.Significant(f.ReferenceLoser)
            );
        }
    }
}
