using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Pipelines.Lora;

/// <summary>Merges low-rank adapter files into a pipeline.</summary>
internal static class AdapterMerge
{
    /// <summary>Merges the denoiser's part, and checks the text encoders' parts against their folders.</summary>
    /// <param name="pipeline">Pipeline with weights.</param>
    /// <param name="path">File, or folder that contains <see cref="LoraFile.Name"/>.</param>
    /// <param name="strength">Factor in addition to the adapters' own scale.</param>
    /// <returns>Parts of text encoders, to be merged whenever an encoder is loaded or saved.</returns>
    /// <exception cref="InputException">The adapters do not fit; the message lists all problems.</exception>
    public static IReadOnlyList<TextAdapters> Into(LatentDiffusionPipeline pipeline, string path, double strength)
    {
        var parts = LoraFile.PartsOf(path);
        List<TextAdapters> texts =
        [
            .. parts.OfType<string>().Select(encoder => new TextAdapters(encoder, Path.GetFullPath(path), strength)),
        ];
        foreach (var text in texts)
        {
            var folder = pipeline.Companions.Contains(text.Encoder)
                ? Path.Combine(pipeline.CompanionSource!, text.Encoder)
                : throw new InputException($"'{path}' has adapters for {text.Encoder}, which this model does not have.");
            using var encoder = ComponentFolder.Describe(folder);
            var target = LoraTarget.TextEncoder(ComponentRegistry.Of(encoder.Network).Parameters(encoder.Network), text.Encoder);
            pipeline.Warn(LoraFile.Check(path, target));
        }

        if (parts.Contains(null))
        {
            pipeline.Warn(LoraFile.Check(path, LoraTarget.Denoiser(pipeline.Denoiser)));
            using var adapters = LoraFile.Attach(
                path,
                LoraTarget.Denoiser(pipeline.Denoiser),
                pipeline.Denoiser.Parameters.All[0].Value.Device,
                DType.Float32
            );
            adapters.Merge(strength);
        }

        return texts;
    }
}
