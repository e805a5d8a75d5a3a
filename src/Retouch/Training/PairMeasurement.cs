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

/// <summary>The figures of one space.</summary>
/// <param name="Accuracy">Implicit accuracy: the share of pairs and draws in which the model moved from the reference towards the winner
/// more than towards the loser; an even one counts half.</param>
/// <param name="Winner">Mean error of winners.</param>
/// <param name="Loser">Mean error of losers.</param>
/// <param name="ReferenceWinner">The reference's error of winners.</param>
/// <param name="ReferenceLoser">The reference's error of losers.</param>
public sealed record PairFigures(double Accuracy, double Winner, double Loser, double ReferenceWinner, double ReferenceLoser);

/// <summary>How a model judges pairs, compared with the model that it came from.</summary>
/// <param name="Pairs">Pairs.</param>
/// <param name="Draws">Times and noises drawn for each.</param>
/// <param name="Latent">On the network's output.</param>
/// <param name="Pixel">Behind the decoder, on the remixed latent.</param>
/// <param name="Drift">Mean square difference of the two predictions.</param>
public sealed record PairMeasurement(int Pairs, int Draws, PairFigures Latent, PairFigures Pixel, double Drift)
{
    /// <summary>Measures a model.</summary>
    /// <param name="model">A pipeline in the diffusers layout.</param>
    /// <param name="reference">The one that it came from.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="size">Side of the pictures in pixels.</param>
    /// <param name="draws">Times and noises a pair, at least 1.</param>
    /// <param name="seed">Decides them.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <exception cref="RetouchException">A model or the pairs cannot be used.</exception>
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
            throw new UsageException($"{draws} draws a pair; at least 1 is needed.");
        using var before = LatentDiffusionPipeline.Load(reference, device);
        var pipeline = LatentDiffusionPipeline.Load(model, device);
        var options = new TrainingOptions
        {
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
                foreach (var (name, value) in task.Evaluate(batch, new StepSeeds(seed, draw, k, 0)).Loss.Figures)
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

    /// <summary>Prints the figures for people.</summary>
    public void Print(TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteLine($"{Pairs} pairs, {Draws} draws of time and noise each; drift from the reference {Figures.Significant(Drift)}");
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
