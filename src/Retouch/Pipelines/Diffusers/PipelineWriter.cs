using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Writes model folders in the layout of diffusers, which <see cref="PipelineReader"/> and diffusers read.</summary>
internal static class PipelineWriter
{
    /// <summary>Writes the pipeline: the folder is replaced as a whole or not at all. It may be the one that was read.</summary>
    /// <param name="pipeline">What is written.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="dtype">Type of the stored weights; null keeps theirs.</param>
    /// <param name="denoiserTensors">Stand in for the denoiser's own under the same keys: an average of the weights.</param>
    /// <param name="maxShardBytes">Splits each component's weights; see <see cref="ComponentFolder.Save"/>.</param>
    /// <exception cref="InputException">A weight is beyond the range of float16, or a component that has to travel along is
    /// gone.</exception>
    /// <exception cref="EnvironmentException">The disk is full or the folder cannot be written to.</exception>
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
                ComponentFolder.Fill(
                    Directory.CreateDirectory(Path.Combine(temporary, "vae")).FullName,
                    pipeline.AutoencoderComponent,
                    dtype,
                    null,
                    maxShardBytes
                );
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

    private static void Copy(LatentDiffusionPipeline pipeline, string name, string target, long? maxShardBytes)
    {
        var from = Path.Combine(pipeline.CompanionSource!, name);
        if (!Directory.Exists(from))
            throw new InputException(
                $"'{from}' was there when the pipeline was read and is gone now, so that it cannot be copied. Put it back and save again."
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
