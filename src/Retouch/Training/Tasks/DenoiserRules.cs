using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Validation of options against a given model.</summary>
internal static class DenoiserRules
{
    /// <summary>Checks all rules.</summary>
    /// <exception cref="UsageException">An option does not fit the model; the message lists all problems.</exception>
    public static void Check(LatentDiffusionPipeline pipeline, TrainingOptions options, Formulation formulation)
    {
        List<string> problems = [.. options.Objective!.Validate("objective", formulation)];
        var (classes, prompts) = (pipeline.Denoiser.ClassCount, pipeline.Denoiser.TextWidth is not null);
        if (classes is null && !prompts && options.Conditioning != new ConditioningOptions())
            problems.Add("conditioning.dropout has no effect on an unconditional denoiser; leave it out");
        if (!prompts && options.Samples.Prompts is not null)
            problems.Add("samples.prompts has no effect on a denoiser without prompts; leave it out");
        if (!prompts && options.Model.PromptsFrom is not null)
            problems.Add("model.promptsFrom has no effect on a denoiser without prompts; leave it out");
        var precomputes = options.Objective!.Preference is { PrecomputesReference: true };
        if (!prompts && !precomputes && options.Data is { Cache: not null, CacheLatents: false })
            problems.Add(
                "data.cache has no effect on this run: it keeps latents (data.cacheLatents), prompts, and reference errors "
                    + "(objective.preference.reference precomputed)"
            );
        if (prompts && pipeline.PromptFolder is null)
            problems.Add(
                "the denoiser takes prompts, but the model has no text encoders; from scratch, give a diffusers folder with "
                    + "text encoders as model.promptsFrom"
            );
        if (prompts && classes is not null)
            problems.Add("the denoiser takes both classes and prompts, which training does not support");
        if (problems.Count > 0)
            throw new UsageException("Invalid options for this model:\n  " + string.Join("\n  ", problems));
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
