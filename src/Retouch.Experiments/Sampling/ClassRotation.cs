using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;

namespace Retouch.Experiments.Sampling;

/// <summary>Classes of sampled pictures.</summary>
public static class ClassRotation
{
    /// <summary>Option of all verbs that sample classes.</summary>
    public const string Option = "--class";

    /// <summary>
    /// Class of each picture: the given classes, or all, in rotation. Explicit, so that a resumed run continues the rotation.
    /// </summary>
    /// <param name="pipeline">Model.</param>
    /// <param name="given">Class names or indices; empty for all classes.</param>
    /// <param name="count">Number of pictures.</param>
    /// <returns>Class indices; null for models without classes.</returns>
    /// <exception cref="UsageException">A class does not exist, or the model has no classes.</exception>
    public static IReadOnlyList<int>? Of(LatentDiffusionPipeline pipeline, IReadOnlyList<string> given, int count)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        ArgumentNullException.ThrowIfNull(given);
        if (pipeline.Denoiser.ClassCount is not { } classes)
            return given.Count == 0 ? null : throw new UsageException($"{Option}: this model has no classes.");
        var chosen = given.Count == 0 ? null : new ClassNames(pipeline.Labels).Choose(given, classes, Option);
        return [.. Enumerable.Range(0, count).Select(k => chosen is null ? k % classes : chosen[k % chosen.Count])];
    }
}
