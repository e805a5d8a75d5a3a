using System.Globalization;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>
/// Layout of an ablation's folder. Names contain a hash of everything that determines the content, so that stale content is never reused.
/// </summary>
public sealed class AblationFolder(string shown)
{
    /// <summary>Path as given by the user, for commands.</summary>
    public string Shown { get; } = shown.TrimEnd('/');

    /// <summary>Absolute path.</summary>
    public string Path { get; } = System.IO.Path.GetFullPath(shown);

    /// <summary>Claims of processes.</summary>
    public string Claims => In("claims");

    /// <summary>Reference pictures.</summary>
    public string HeldOut(PlannedData data) => In("data", data.Key, "held-out");

    /// <summary>Training pictures, if split from a folder.</summary>
    public string Train(PlannedData data) => In("data", data.Key, "train");

    /// <summary>Encoded training pictures, shared by all trainings with the same pictures and autoencoder.</summary>
    public string Latents(PlannedTraining training)
    {
        var root = training;
        while (root.From is { } from)
            root = from;
        var (data, model) = (training.Options.Data, root.Options.Model);
        return In(
            "latents",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{training.Data.Key}-{AblationPlan.Hash($"{model.Autoencoder ?? model.Path}|{data.SceneCount}")}"
            )
        );
    }

    /// <summary>Run folder of a pre-training.</summary>
    public string Run(PlannedTraining training) => In("pretraining", training.Key);

    /// <summary>Run folder of an arm.</summary>
    public string Run(PlannedArm arm, ulong seed) =>
        In("arms", arm.Training.Key, string.Create(CultureInfo.InvariantCulture, $"seed-{seed}"), "run");

    /// <summary>Sampled pictures, with their measurements next to them.</summary>
    /// <param name="model">arms/KEY/seed-N, or before/KEY.</param>
    /// <param name="variant">Sampling options.</param>
    /// <param name="evaluation">Number and first seed of the pictures.</param>
    public string Pictures(string model, Variant variant, AblationEvaluation evaluation) =>
        In(
            model,
            "pictures",
            string.Create(
                CultureInfo.InvariantCulture,
                $"decay-{variant.Decay}-steps-{variant.Steps}-guidance-{variant.Guidance}-from-{evaluation.FirstSeed}-count-"
                    + $"{evaluation.Samples}"
            )
        );

    /// <summary>Measurements of a folder of pictures.</summary>
    public static string Figures(string pictures, PlannedData data, AblationEvaluation evaluation)
    {
        // The bootstrap options determine the stored content; the decisive figure does not.
        var decides = OptionsFile.Write(
            evaluation with
            {
                Decisive = "",
                SamplerSteps = [],
                Guidance = [],
                Decays = null,
                Before = true,
                SmallestDifference = null,
            }
        );
        return $"{pictures}-{AblationPlan.Hash(decides + data.Key)}.json";
    }

    /// <summary>Relative folder of an arm and seed.</summary>
    public static string ModelOf(PlannedArm arm, ulong seed) =>
        string.Create(CultureInfo.InvariantCulture, $"arms/{arm.Training.Key}/seed-{seed}");

    /// <summary>Path below the folder.</summary>
    public string In(params ReadOnlySpan<string> parts) => System.IO.Path.Combine([Path, .. parts]);
}
