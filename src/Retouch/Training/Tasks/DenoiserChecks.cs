using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>
/// What of a denoiser's options can only be said once the model is read. The rest is <see cref="TrainingOptions.Validate"/>.
/// </summary>
internal static class DenoiserChecks
{
    /// <summary>Reports all that is wrong at once.</summary>
    /// <exception cref="UsageException">Options do not go with the model, or would do nothing.</exception>
    public static void Check(TrainingOptions options, LatentDiffusionPipeline pipeline, Formulation formulation)
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
        var precomputes = options.Objective.Preference is { PrecomputesReference: true };
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
}
