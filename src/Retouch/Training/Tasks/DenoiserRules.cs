using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Validation of options that depends on the loaded model; what does not is validated by the options.</summary>
internal static class DenoiserRules
{
    /// <summary>Checks all rules.</summary>
    /// <exception cref="UsageException">An option does not fit the model; the message lists all problems.</exception>
    /// <param name="pipeline">Model.</param>
    /// <param name="options">Options without contradictions.</param>
    /// <param name="formulation">The model's formulation.</param>
    /// <param name="encodes">Whether prompts are encoded; false for given conditions.</param>
    public static void Check(LatentDiffusionPipeline pipeline, TrainingOptions options, Formulation formulation, bool encodes)
    {
        var check = Requirements.OfFile();
        options.Objective!.ValidateFor(formulation, check.Under(nameof(options.Objective)));
        var (classes, prompts) = (pipeline.Denoiser.ClassCount, pipeline.Denoiser.TextWidth is not null);
        check.That(
            classes is not null || prompts || options.Conditioning == new ConditioningOptions(),
            "conditioning.dropout has no effect on an unconditional denoiser; leave it out"
        );
        check.That(prompts || options.Samples.Prompts is null, "samples.prompts has no effect on a denoiser without prompts; leave it out");
        check.That(prompts || options.Data.Captions is null, "data.captions has no effect on a denoiser without prompts; leave it out");
        check.That(
            prompts || options.Model.PromptsFrom is null,
            "model.promptsFrom has no effect on a denoiser without prompts; leave it out"
        );
        if (options.Data.Prior is { Count: not null } prior)
        {
            check.That(!prompts || prior.Prompt is not null, "data.prior.prompt is missing; give the prompt of the pictures to draw");
            check.That(prompts || prior.Prompt is null, "data.prior.prompt has no effect on a denoiser without prompts; leave it out");
            check.That(classes is null || prior.Class is not null, "data.prior.class is missing; give the class of the pictures to draw");
            check.That(
                classes is not null || prior.Class is null,
                "data.prior.class has no effect on a denoiser without classes; leave it out"
            );
        }

        var precomputes = options.Objective.Preference is { PrecomputesReference: true };
        check.That(
            prompts || precomputes || options.Data is not { Cache: not null, CacheLatents: false },
            "data.cache has no effect on this run: it keeps latents (data.cacheLatents), prompts, and reference errors "
                + "(objective.preference.reference precomputed)"
        );
        check.That(
            !prompts || !encodes || pipeline.PromptFolder is not null,
            "the denoiser takes prompts, but the model has no text encoders; from scratch, give a diffusers folder with "
                + "text encoders as model.promptsFrom"
        );
        check.That(!prompts || classes is null, "the denoiser takes both classes and prompts, which training does not support");
        CheckWindows(options, check);
        check.Throw("Invalid options for this model");
    }

    private static void CheckWindows(TrainingOptions options, Requirements check)
    {
        if (options.Objective!.DecodeCrop is not { } side)
            return;
        const string Member = "objective.decodeCrop";
        var sizes = options.Data.Buckets?.Sizes(options.Data.Side) ?? [new(options.Data.Side, options.Data.Side)];
        var least = sizes.Min(static s => Math.Min(s.Width, s.Height));
        check.That(
            side <= least,
            $"{Member} is {side}, more than the {(options.Data.Buckets is null ? "side" : "shortest side of the buckets")}, {least}"
        );
        check.That(sizes.Count > 1 || side != least, $"{Member} is {side}, the whole picture; leave it out");
    }

    /// <summary>Note on the scaling of the perceptual loss for a training size other than the model's native size, or null.</summary>
    public static string? Scaling(LatentDiffusionPipeline pipeline, TrainingOptions options)
    {
        var perceptual = options.Objective!.Perceptual ?? options.Objective.Preference?.Features;
        if (perceptual is null || perceptual.ResolutionScale is not null || options.Data.Side == pipeline.NativeSize)
            return null;
        var scale = Figures.Significant((double)options.Data.Side / pipeline.NativeSize);
        return $"The training size {options.Data.Side} is {scale} times the model's native size {pipeline.NativeSize}: the perceptual "
            + "loss's noise threshold and mask windows are scaled by it (perceptual.resolutionScale fixes them).";
    }
}
