using System.Globalization;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>
/// Where the parts of an ablation lie. Names follow from what decides the content, so that nothing is ever taken for something else.
/// </summary>
public sealed class AblationFolder(string shown)
{
    /// <summary>As the user wrote it, for commands to copy.</summary>
    public string Shown { get; } = shown.TrimEnd('/');

    /// <summary>The absolute path.</summary>
    public string Path { get; } = System.IO.Path.GetFullPath(shown);

    /// <summary>Who does what.</summary>
    public string Claims => In("claims");

    /// <summary>The real pictures to measure against.</summary>
    public string HeldOut(PlannedData data) => In("data", data.Key, "held-out");

    /// <summary>The pictures to train on, where they are a part of a folder.</summary>
    public string Train(PlannedData data) => In("data", data.Key, "train");

    /// <summary>What the autoencoder makes of the pictures to train on, for all trainings with the same of both.</summary>
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

    /// <summary>The run of a pre-training.</summary>
    public string Run(PlannedTraining training) => In("pretraining", training.Key);

    /// <summary>The run of an arm.</summary>
    public string Run(PlannedArm arm, ulong seed) =>
        In("arms", arm.Training.Key, string.Create(CultureInfo.InvariantCulture, $"seed-{seed}"), "run");

    /// <summary>Pictures drawn, and beside them what was measured on them.</summary>
    /// <param name="model">arms/KEY/seed-N, or before/KEY.</param>
    /// <param name="variant">How they were drawn.</param>
    /// <param name="evaluation">How many, and from which seed.</param>
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

    /// <summary>What was measured on pictures.</summary>
    public static string Figures(string pictures, PlannedData data, AblationEvaluation evaluation)
    {
        // How sure the figures are is part of what is kept; which one decides is not.
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

    /// <summary>The folder of an arm and seed, relative.</summary>
    public static string ModelOf(PlannedArm arm, ulong seed) =>
        string.Create(CultureInfo.InvariantCulture, $"arms/{arm.Training.Key}/seed-{seed}");

    /// <summary>A path below the folder.</summary>
    public string In(params ReadOnlySpan<string> parts) => System.IO.Path.Combine([Path, .. parts]);
}
