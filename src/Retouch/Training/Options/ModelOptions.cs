using System.ComponentModel;
using System.Text.Json.Nodes;

namespace Retouch.Training.Options;

/// <summary>Where the networks come from.</summary>
public sealed record ModelOptions
{
    /// <summary>A diffusers folder: a pipeline (model_index.json), or for an autoencoder the component's own folder.</summary>
    [Description("A diffusers folder to start from.")]
    public string? Path { get; init; }

    /// <summary>For a denoiser from scratch: the folder of the autoencoder.</summary>
    [Description("For a denoiser from scratch: the autoencoder's folder.")]
    public string? Autoencoder { get; init; }

    /// <summary>From scratch: the network's config.json, as diffusers writes it.</summary>
    [Description("From scratch: the network's config.json as diffusers writes it.")]
    public JsonObject? Config { get; init; }

    /// <summary>For a denoiser from scratch, or to change the formulation: scheduler_config.json, as diffusers writes it.</summary>
    [Description("scheduler_config.json as diffusers writes it; decides the formulation (epsilon, v, flow).")]
    public JsonObject? Scheduler { get; init; }

    /// <summary>
    /// From scratch, for a denoiser that takes prompts: a diffusers folder whose tokenizers and text encoders read them, and travel along.
    /// </summary>
    [Description("From scratch, for a denoiser that takes prompts: a diffusers folder whose tokenizers and text encoders are used.")]
    public string? PromptsFrom { get; init; }

    /// <summary>
    /// For an autoencoder: whether the factor that brings its latents to unit variance is measured anew on the data. Default: for one from
    /// scratch whose config gives none.
    /// </summary>
    [Description(
        "For an autoencoder: measure the latents' scaling factor on the data; default: from scratch, where the config gives none."
    )]
    public bool? MeasureScaling { get; init; }

    /// <summary>Recompute the denoiser's blocks in the backward pass instead of keeping their activations.</summary>
    [Description("Recompute the denoiser's blocks in the backward pass instead of keeping their activations.")]
    public bool CheckpointActivations { get; init; }

    internal void Validate(TrainingTaskKind task, Action<bool, string> require)
    {
        require(
            Path is null || Autoencoder is null,
            "model.autoencoder is for a denoiser from scratch; with model.path, whose autoencoder is used, it would do nothing"
        );
        require(
            MeasureScaling is null || task == TrainingTaskKind.Autoencoder,
            "model.measureScaling is for autoencoders; it would do nothing"
        );
        require(
            PromptsFrom is null || (Config is not null && task == TrainingTaskKind.Denoiser),
            "model.promptsFrom is for a denoiser from scratch (model.config); elsewhere it would do nothing"
        );
        require(Path is null != Config is null, "model: give either path (post-training) or config (from scratch)");
        if (task == TrainingTaskKind.Denoiser)
        {
            require(
                Config is null || Autoencoder is not null,
                "model.config needs model.autoencoder beside it: the folder of the autoencoder whose latents are learned"
            );
            require(Config is null || Scheduler is not null, "model.config needs model.scheduler beside it: the formulation");
        }
        else
        {
            require(
                Autoencoder is null && Scheduler is null,
                "model.autoencoder and model.scheduler are for denoisers; they would do nothing"
            );
        }
    }
}
