using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Denoisers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// Reads model folders in the layout of diffusers: <c>model_index.json</c>, <c>vae/</c>, <c>transformer/</c> or <c>unet/</c>,
/// <c>scheduler/</c>; and folders of adapters.
/// </summary>
internal static class PipelineReader
{
    /// <summary>Reads a pipeline; from a folder of adapters, the model that they belong to, with them merged.</summary>
    /// <param name="folder">The folder with <c>model_index.json</c>, or adapters (<see cref="AdapterFolder"/>).</param>
    /// <param name="device">Where the weights go.</param>
    /// <param name="dtype">Type of the denoiser's weights; null keeps the stored one.</param>
    /// <param name="variant">Which variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <param name="autoencoderType">Type of the autoencoder's weights; null keeps the stored one.</param>
    /// <exception cref="InputException">Files are missing, broken or do not fit each other: all that is missing is named at
    /// once.</exception>
    public static LatentDiffusionPipeline Load(
        string folder,
        Device device,
        DType? dtype = DType.Float32,
        string? variant = null,
        DType? autoencoderType = DType.Float32
    )
    {
        AtomicFolder.Recover(folder);
        if (AdapterFolder.Stack(folder) is { Count: > 0 } stack)
            return LoadAdapted(stack, device, dtype, variant, autoencoderType);
        var denoiserFolder = PipelineLayout.Check(folder);
        var index = PipelineIndex.Read(folder);
        var scheduler = ConfigDocument.Read(Path.Combine(folder, "scheduler", PipelineLayout.SchedulerName));
        var autoencoder = LoadAs<IAutoencoder>(Path.Combine(folder, "vae"), device, autoencoderType, variant);
        try
        {
            var denoiser = LoadAs<IDenoiser>(Path.Combine(folder, denoiserFolder), device, dtype, variant);
            try
            {
                return new LatentDiffusionPipeline(
                    autoencoder,
                    denoiser,
                    denoiserFolder,
                    index,
                    scheduler,
                    Path.GetFullPath(folder),
                    Path.GetFullPath(folder)
                );
            }
            catch
            {
                denoiser.Dispose();
                throw;
            }
        }
        catch
        {
            autoencoder.Dispose();
            throw;
        }
    }

    /// <summary>Whether a folder holds a pipeline, or adapters of one (<see cref="AdapterFolder"/>).</summary>
    public static bool IsAt(string folder) => File.Exists(Path.Combine(folder, PipelineLayout.IndexName)) || AdapterFolder.IsAt(folder);

    /// <summary>As <see cref="LatentDiffusionPipeline.NativeSize"/>, from the configurations alone.</summary>
    /// <param name="folder">The folder with <c>model_index.json</c>, or adapters.</param>
    /// <exception cref="InputException">Files are missing, or no pipeline's.</exception>
    public static int NativeSizeOf(string folder)
    {
        folder = AdapterFolder.RootOf(folder);
        var denoiserFolder = PipelineLayout.Check(folder);
        using var vae = ComponentFolder.Describe(Path.Combine(folder, "vae"));
        using var denoiser = ComponentFolder.Describe(Path.Combine(folder, denoiserFolder));
        return vae.Network is IAutoencoder autoencoder && denoiser.Network is IDenoiser network
            ? network.SampleSize * autoencoder.Downsampling
            : throw new InputException(
                $"'{folder}' has a {vae.ClassName} for its autoencoder and a {denoiser.ClassName} for its denoiser."
            );
    }

    private static LatentDiffusionPipeline LoadAdapted(
        IReadOnlyList<AdapterFolder> stack,
        Device device,
        DType? dtype,
        string? variant,
        DType? autoencoderType
    )
    {
        var pipeline = Load(stack[^1].Base, device, dtype, variant, autoencoderType);
        try
        {
            foreach (var adapters in stack.Reverse())
            {
                if (adapters.Sample is { } sample && !BaseSample.Fits(sample, pipeline.Denoiser.Parameters))
                    pipeline.Warn(
                        $"The adapters '{adapters.Folder}' were trained on other weights than '{adapters.Base}' holds now; what "
                            + $"comes out may be poor."
                    );
                pipeline.Merge(adapters.Folder);
                pipeline.SchedulerConfig = adapters.Scheduler ?? pipeline.SchedulerConfig;
            }

            return pipeline;
        }
        catch
        {
            pipeline.Dispose();
            throw;
        }
    }

    private static Component LoadAs<T>(string folder, Device device, DType? dtype, string? variant)
    {
        var component = ComponentFolder.Load(folder, device, dtype, variant);
        if (component.Network is T)
            return component;
        var name = component.ClassName;
        component.Dispose();
        throw new InputException(
            $"'{folder}' holds a {name}, where {(typeof(T) == typeof(IDenoiser) ? "a denoiser" : "an autoencoder")} belongs."
        );
    }
}
