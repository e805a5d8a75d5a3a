using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training.Conditions;
using Retouch.Training.Options;

namespace Retouch.Training;

/// <summary>
/// Initial networks of a run: loaded from a folder, or created from a configuration with initial weights that follow from the seed.
/// </summary>
internal sealed class TrainingNetworks(TrainingOptions options, Device device)
{
    private const ulong WeightsPurpose = 0x77656967687473;

    /// <summary>Autoencoder to train: loaded, or created with initial weights.</summary>
    /// <exception cref="RetouchException">The autoencoder is missing or of an unsupported class.</exception>
    public Component OpenAutoencoder()
    {
        var model = options.Model;
        if (model.Path is { } path)
        {
            var start = File.Exists(Path.Combine(path, PipelineLayout.IndexName)) ? Path.Combine(path, "vae") : path;
            var component = ComponentFolder.Load(start, device);
            return component.Network is KlAutoencoder
                ? component
                : throw new InputException(
                    $"'{start}' is a {component.ClassName}; only AutoencoderKL and AsymmetricAutoencoderKL can be trained."
                );
        }

        const string Origin = "model.config";
        // The default class is AutoencoderKL.
        var made = model.Config!.ContainsKey("_class_name")
            ? ComponentRegistry.Find(model.Config, Origin).Create(model.Config, Origin)
            : new AutoencoderKl(AutoencoderKlConfig.FromJson(model.Config, Origin));
        if (made is not KlAutoencoder fresh)
            throw new UsageException("model.config is not a trainable autoencoder; give an AutoencoderKL or an AsymmetricAutoencoderKL.");
        Initialise(fresh.Parameters);
        return Component.Create(fresh);
    }

    /// <summary>Pipeline whose denoiser is trained: loaded, or created around a denoiser with initial weights.</summary>
    /// <param name="classes">Class names of the data, for a new pipeline.</param>
    /// <exception cref="RetouchException">Parts are missing, invalid or do not fit each other.</exception>
    public LatentDiffusionPipeline OpenPipeline(IReadOnlyList<string> classes)
    {
        var pipeline = ReadOrMake(classes);
        FrozenParts.NarrowDecoder(pipeline.Autoencoder, Precision);
        if (options.Times.ScheduleFrom is { } made)
            pipeline.ScaleSchedule((double)options.Data.Side / made);
        return pipeline;
    }

    private DType Precision => DTypes.Precisions[options.Precision];

    /// <summary>Storage of the denoiser's layer weights: frozen beside adapters, or trained.</summary>
    private NarrowLayers? Layers => options.Lora is null ? options.Optimiser.TrainedLayers : FrozenParts.Layers(Precision);

    private LatentDiffusionPipeline ReadOrMake(IReadOnlyList<string> classes)
    {
        var model = options.Model;
        if (model.Path is { } path)
        {
            var loaded = LatentDiffusionPipeline.Load(path, device, layers: Layers);
            if (model.Scheduler is { } scheduler)
                loaded.SchedulerConfig = scheduler.DeepClone().AsObject();
            return loaded;
        }

        const string Origin = "model.config";
        if (ComponentRegistry.Find(model.Config!, Origin).Create(model.Config!, Origin) is not IDenoiser denoiser)
            throw new UsageException("model.config is not a denoiser, but task is denoiser.");
        if (Layers is { } layers)
            denoiser.Parameters.Narrow(layers);
        Initialise(denoiser.Parameters);
        var autoencoder = ComponentFolder.Load(model.Autoencoder!, device);
        if (autoencoder.Network is not IAutoencoder)
            throw new InputException($"'{model.Autoencoder}' is not an autoencoder.");
        return LatentDiffusionPipeline.Create(
            autoencoder,
            denoiser,
            model.Scheduler!,
            ScratchClasses.Of(denoiser, model.Classes, classes),
            model.PromptsFrom
        );
    }

    private void Initialise(ParameterStore store)
    {
        using var generator = Generator.Create(Device.Cpu, SplitMix64.Derive(options.Seed, WeightsPurpose));
        store.Initialise(generator, device);
    }
}
