using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Writes model folders in diffusers layout, readable by <see cref="PipelineReader"/> and diffusers.</summary>
internal static class PipelineWriter
{
    /// <summary>Saves a pipeline; the folder is replaced atomically and may be the source folder.</summary>
    /// <param name="pipeline">Pipeline to save.</param>
    /// <param name="folder">Output folder.</param>
    /// <param name="dtype">Type of the stored weights; null for no conversion.</param>
    /// <param name="denoiserTensors">Replacement tensors of the denoiser under the same keys, such as a weight average; null for its
    /// own.</param>
    /// <param name="maxShardBytes">Maximum bytes per weight file; see <see cref="ComponentFolder.Save"/>.</param>
    /// <exception cref="InputException">A weight exceeds the range of float16, or a component to copy no longer exists.</exception>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public static void Save(
        LatentDiffusionPipeline pipeline,
        string folder,
        DType? dtype = null,
        IEnumerable<KeyValuePair<string, Tensor>>? denoiserTensors = null,
        long? maxShardBytes = null
    ) =>
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                foreach (var name in pipeline.Companions)
                    Copy(pipeline, name, Path.Combine(temporary, name), maxShardBytes);
                Directory.CreateDirectory(Path.Combine(temporary, "scheduler"));
                SaveAutoencoder(pipeline.AutoencoderComponent, Path.Combine(temporary, "vae"), dtype, maxShardBytes);
                ComponentFolder.Fill(
                    Directory.CreateDirectory(Path.Combine(temporary, pipeline.DenoiserName)).FullName,
                    pipeline.DenoiserComponent,
                    dtype,
                    denoiserTensors,
                    maxShardBytes
                );
                AtomicFile.WriteText(
                    Path.Combine(temporary, "scheduler", PipelineLayout.SchedulerName),
                    pipeline.Scheduler.Change(pipeline.Scheduler.Json, pipeline.SchedulerConfig).Text
                );
                AtomicFile.WriteText(
                    Path.Combine(temporary, PipelineLayout.IndexName),
                    pipeline.Index.With(pipeline.Labels, pipeline.SchedulerConfig).Text
                );
            }
        );

    private static void SaveAutoencoder(Component component, string target, DType? dtype, long? maxShardBytes)
    {
        using var loaded = component.Reload();
        var weights = loaded is null ? null : ComponentRegistry.Of(loaded.Network).Parameters(loaded.Network).Tensors();
        ComponentFolder.Fill(Directory.CreateDirectory(target).FullName, component, dtype, weights, maxShardBytes);
    }

    private static void Copy(LatentDiffusionPipeline pipeline, string name, string target, long? maxShardBytes)
    {
        var from = Path.Combine(pipeline.CompanionSource!, name);
        if (!Directory.Exists(from))
            throw new InputException(
                $"'{from}' has been removed since the pipeline was loaded and cannot be copied. Restore it and save again."
            );
        if (pipeline.TextAdapters.All(a => a.Encoder != name))
        {
            FolderCopy.Copy(from, target);
            return;
        }

        using var component = ComponentFolder.Load(from, Device.Cpu, dtype: null);
        foreach (var adapters in pipeline.TextAdapters.Where(a => a.Encoder == name))
            adapters.MergeInto(ComponentRegistry.Of(component.Network).Parameters(component.Network));
        ComponentFolder.Fill(Directory.CreateDirectory(target).FullName, component, null, null, maxShardBytes);
    }
}
