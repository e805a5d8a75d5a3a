using System.Text.Json.Nodes;
using Retouch.Core.Errors;

namespace Retouch.Training.Options;

/// <summary>Source of the networks.</summary>
public sealed record ModelOptions
{
    /// <summary>Diffusers folder to start from: a pipeline (model_index.json) or, for an autoencoder, its own folder.</summary>
    public string? Path { get; init; }

    /// <summary>For a denoiser from scratch: folder of the autoencoder.</summary>
    public string? Autoencoder { get; init; }

    /// <summary>From scratch: config.json of the network, in diffusers format.</summary>
    public JsonObject? Config { get; init; }

    /// <summary>
    /// For a class-conditional denoiser from scratch: class names by index, kept as <c>id2label</c>. Default: the classes of the data. If
    /// the config states no number of classes, it is that of the names.
    /// </summary>
    public IReadOnlyList<string>? Classes { get; init; }

    /// <summary>
    /// For a denoiser from scratch, or to change the formulation (epsilon, v, flow): scheduler_config.json, in diffusers format.
    /// </summary>
    public JsonObject? Scheduler { get; init; }

    /// <summary>
    /// For a text-conditional denoiser from scratch: diffusers folder whose tokenizers and text encoders are used and copied.
    /// </summary>
    public string? PromptsFrom { get; init; }

    /// <summary>
    /// For an autoencoder: measure the latent scaling factor on the data. Default: only from scratch, if the config has none.
    /// </summary>
    public bool? MeasureScaling { get; init; }

    /// <summary>Activation checkpointing in the denoiser: less memory, one more forward pass.</summary>
    public bool CheckpointActivations { get; init; }

    internal void Validate(TrainingTaskKind task, Requirements check)
    {
        check.That(
            Path is null || Autoencoder is null,
            "model.autoencoder has no effect with model.path, which provides the autoencoder; leave it out"
        );
        check.That(
            MeasureScaling is null || task == TrainingTaskKind.Autoencoder,
            "model.measureScaling has no effect unless task is autoencoder; leave it out"
        );
        check.That(
            PromptsFrom is null || (Config is not null && task == TrainingTaskKind.Denoiser),
            "model.promptsFrom is for a denoiser from scratch (model.config); leave it out"
        );
        check.That(
            Classes is null || (Config is not null && task == TrainingTaskKind.Denoiser),
            "model.classes is for a class-conditional denoiser from scratch (model.config); leave it out"
        );
        check.That(
            Classes is null || (Classes.Count > 0 && Classes.Distinct(StringComparer.Ordinal).Count() == Classes.Count),
            "model.classes is empty, or has a name twice"
        );
        check.That(Path is null != Config is null, "model: give either path (post-training) or config (from scratch)");
        if (task == TrainingTaskKind.Denoiser)
        {
            check.That(
                Config is null || Autoencoder is not null,
                "model.config needs model.autoencoder, the folder of the autoencoder that defines the latents"
            );
            check.That(Config is null || Scheduler is not null, "model.config needs model.scheduler, which defines the formulation");
        }
        else
        {
            check.That(
                Autoencoder is null && Scheduler is null,
                "model.autoencoder and model.scheduler have no effect unless task is denoiser; leave them out"
            );
        }
    }
}
