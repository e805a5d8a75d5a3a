using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Denoisers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// Reads model folders in diffusers layout: <c>model_index.json</c>, <c>vae/</c>, <c>transformer/</c> or <c>unet/</c>, <c>scheduler/</c>;
/// and adapter folders.
/// </summary>
internal static class PipelineReader
{
    /// <summary>Loads a pipeline; for an adapter folder, its base model with the adapters merged.</summary>
    /// <param name="folder">Folder with <c>model_index.json</c>, or an adapter folder (<see cref="AdapterFolder"/>).</param>
    /// <param name="device">Device of the weights.</param>
    /// <param name="dtype">Type of the denoiser's weights; null for the stored type.</param>
    /// <param name="variant">Variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <param name="autoencoderType">Type of the autoencoder's weights; null for the stored type.</param>
    /// <param name="layers">Narrow storage of the denoiser's layer weights; null for none.</param>
    /// <exception cref="InputException">Files are missing, invalid or do not fit each other; the message lists all missing
    /// parts.</exception>
    public static LatentDiffusionPipeline Load(
        string folder,
        Device device,
        DType? dtype = DType.Float32,
        string? variant = null,
        DType? autoencoderType = DType.Float32,
        NarrowLayers? layers = null
    )
    {
        AtomicFolder.Recover(folder);
        if (AdapterFolder.Stack(folder) is { Count: > 0 } stack)
            return LoadAdapted(stack, device, dtype, variant, autoencoderType, layers);
        var denoiserFolder = PipelineLayout.Check(folder);
        var index = PipelineIndex.Read(folder);
        var scheduler = ConfigDocument.Read(Path.Combine(folder, "scheduler", PipelineLayout.SchedulerName));
        var (vae, network) = (Path.Combine(folder, "vae"), Path.Combine(folder, denoiserFolder));
        var autoencoder = LoadAs<IAutoencoder>(vae, device, autoencoderType, WeightChoice.OrPlain(vae, variant));
        try
        {
            var denoiser = LoadAs<IDenoiser>(network, device, dtype, WeightChoice.OrPlain(network, variant), layers);
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

    /// <summary>Whether a folder is a pipeline or an adapter folder (<see cref="AdapterFolder"/>).</summary>
    public static bool IsAt(string folder) => File.Exists(Path.Combine(folder, PipelineLayout.IndexName)) || AdapterFolder.IsAt(folder);

    /// <summary><see cref="LatentDiffusionPipeline.NativeSize"/> from the configurations alone.</summary>
    /// <param name="folder">Folder with <c>model_index.json</c>, or an adapter folder.</param>
    /// <exception cref="InputException">Files are missing, or the folder is not a pipeline.</exception>
    public static int NativeSizeOf(string folder)
    {
        folder = AdapterFolder.RootOf(folder);
        var denoiserFolder = PipelineLayout.Check(folder);
        using var vae = ComponentFolder.Describe(Path.Combine(folder, "vae"));
        using var denoiser = ComponentFolder.Describe(Path.Combine(folder, denoiserFolder));
        return vae.Network is IAutoencoder autoencoder && denoiser.Network is IDenoiser network
            ? network.SampleSize * autoencoder.Downsampling
            : throw new InputException(
                $"'{folder}' has a {vae.ClassName} as its autoencoder and a {denoiser.ClassName} as its denoiser, which is not supported."
            );
    }

    /// <summary>Whether a pipeline's denoiser is text-conditional, from its configuration alone.</summary>
    /// <param name="folder">Folder of the pipeline, or of adapters.</param>
    /// <exception cref="RetouchException">A configuration is missing, invalid or unsupported.</exception>
    public static bool TakesPrompts(string folder)
    {
        folder = AdapterFolder.RootOf(folder);
        using var denoiser = ComponentFolder.Describe(Path.Combine(folder, PipelineLayout.Check(folder)));
        return denoiser.Network is IDenoiser { TextWidth: not null };
    }

    private static LatentDiffusionPipeline LoadAdapted(
        IReadOnlyList<AdapterFolder> stack,
        Device device,
        DType? dtype,
        string? variant,
        DType? autoencoderType,
        NarrowLayers? layers
    )
    {
        var pipeline = Load(stack[^1].Base, device, dtype, variant, autoencoderType);
        try
        {
            foreach (var adapters in stack.Reverse())
            {
                if (adapters.Sample is { } sample && !BaseSample.Fits(sample, pipeline.Denoiser.Parameters))
                    pipeline.Warn(
                        $"The adapters '{adapters.Folder}' were trained on weights other than the current ones of '{adapters.Base}'; "
                            + $"results may be poor."
                    );
                pipeline.Merge(adapters.Folder);
                pipeline.SchedulerConfig = adapters.Scheduler ?? pipeline.SchedulerConfig;
            }

            // After merging, which rounds to the type of the weights.
            if (layers is not null)
                pipeline.Denoiser.Parameters.Narrow(layers);

            return pipeline;
        }
        catch
        {
            pipeline.Dispose();
            throw;
        }
    }

    private static Component LoadAs<T>(string folder, Device device, DType? dtype, string? variant, NarrowLayers? layers = null)
    {
        var component = ComponentFolder.Load(folder, device, dtype, variant, layers);
        if (component.Network is T)
            return component;
        var name = component.ClassName;
        component.Dispose();
        throw new InputException(
            $"'{folder}' is a {name}, but {(typeof(T) == typeof(IDenoiser) ? "a denoiser" : "an autoencoder")} is needed there."
        );
    }
}
