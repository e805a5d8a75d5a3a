using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Pipelines.Lora;

/// <summary>Merges files of low-rank adapters into a pipeline.</summary>
internal static class AdapterMerge
{
    /// <summary>Adds the denoiser's part to its weights, and checks the text encoders' parts against their folders.</summary>
    /// <param name="pipeline">With its weights.</param>
    /// <param name="path">The file, or a folder that holds <see cref="LoraFile.Name"/>.</param>
    /// <param name="strength">What the adapters are multiplied by besides their own scale.</param>
    /// <returns>The text encoders' parts, to be merged whenever an encoder is read or written.</returns>
    /// <exception cref="InputException">They do not fit: everything that does not is named.</exception>
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
                : throw new InputException($"'{path}' has adapters of {text.Encoder}, which this model does not have.");
            using var encoder = ComponentFolder.Describe(folder);
            LoraFile.Check(path, LoraTarget.TextEncoder(ComponentRegistry.Of(encoder.Network).Parameters(encoder.Network), text.Encoder));
        }

        if (parts.Contains(null))
        {
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
