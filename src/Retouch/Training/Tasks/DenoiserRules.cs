using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Which options fit a denoiser: problems that show only once the model is known.</summary>
internal static class DenoiserRules
{
    /// <summary>Checks all of them.</summary>
    /// <exception cref="UsageException">At least one option does not fit; the message lists all that do not.</exception>
    public static void Check(LatentDiffusionPipeline pipeline, TrainingOptions options, Formulation formulation)
    {
        List<string> problems = [.. options.Objective!.Validate("objective", formulation)];
        var (classes, prompts) = (pipeline.Denoiser.ClassCount, pipeline.Denoiser.TextWidth is not null);
        if (classes is null && !prompts && options.Conditioning != new ConditioningOptions())
            problems.Add(
                "conditioning.dropout is for denoisers that take classes or prompts; this one takes neither, so it would do nothing"
            );
        if (!prompts && options.Samples.Prompts is not null)
            problems.Add("samples.prompts is for denoisers that take prompts; here it would do nothing");
        if (!prompts && options.Model.PromptsFrom is not null)
            problems.Add("model.promptsFrom is for denoisers that take prompts; here it would do nothing");
        var precomputes = options.Objective!.Preference is { PrecomputesReference: true };
        if (!prompts && !precomputes && options.Data is { Cache: not null, CacheLatents: false })
            problems.Add(
                "data.cache keeps latents (with data.cacheLatents), prompts, and a reference's errors "
                    + "(objective.preference.reference precomputed); here there is none of them, so it would do nothing"
            );
        if (prompts && pipeline.PromptFolder is null)
            problems.Add(
                "the denoiser takes prompts, but the model has no text encoders; from scratch, give a diffusers folder that has "
                    + "them as model.promptsFrom"
            );
        if (prompts && classes is not null)
            problems.Add("the denoiser takes both classes and prompts, which training does not support");
        if (problems.Count > 0)
            throw new UsageException("The options cannot be used:\n  " + string.Join("\n  ", problems));
    }

    /// <summary>What the perceptual loss adapts to a training size that is not the model's own; null where there is nothing.</summary>
    public static string? Scaling(LatentDiffusionPipeline pipeline, TrainingOptions options)
    {
        var perceptual = options.Objective!.Perceptual ?? options.Objective.Preference?.Features;
        if (perceptual is null || perceptual.ResolutionScale is not null || options.Data.Size == pipeline.NativeSize)
            return null;
        var scale = Figures.Significant((double)options.Data.Size / pipeline.NativeSize);
        return $"The training size {options.Data.Size} is {scale} times the model's own {pipeline.NativeSize}: the perceptual loss's "
            + "noise threshold and mask windows are scaled by it (perceptual.resolutionScale fixes them).";
    }
}
