using Retouch.Data;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Trainable adapters of a frozen denoiser.</summary>
internal sealed class AdapterTraining : IDisposable
{
    private const ulong AdapterPurpose = 0x6c6f7261;

    private readonly LatentDiffusionPipeline _pipeline;
    private readonly TrainingOptions _options;
    private readonly LoraOptions _lora;

    /// <param name="pipeline">Pipeline whose denoiser is frozen; not disposed here.</param>
    /// <param name="options">Validated options, with <see cref="TrainingOptions.Lora"/>.</param>
    /// <param name="device">Device of the denoiser.</param>
    /// <exception cref="Core.Errors.UsageException">A target matches no layer of the denoiser.</exception>
    public AdapterTraining(LatentDiffusionPipeline pipeline, TrainingOptions options, Device device)
    {
        (_pipeline, _options, _lora) = (pipeline, options, options.Lora!);
        Adapters = LowRankAdapters.Attach(pipeline.Denoiser.Parameters, _lora.ToAdapterOptions());
        using var generator = Generator.Create(Device.Cpu, SplitMix64.Derive(options.Seed, AdapterPurpose));
        Adapters.Parameters.Initialise(generator, device);
    }

    /// <summary>The adapters.</summary>
    public LowRankAdapters Adapters { get; }

    /// <summary>User-facing description of the trained parameters.</summary>
    public string Summary => $"adapters of rank {_lora.Rank} on {Adapters.Layers.Count()} layers";

    /// <summary>Saves the adapters, with a reference to their model.</summary>
    /// <param name="folder">Replaced atomically.</param>
    public void Save(string folder) =>
        AdapterFolder.Save(
            folder,
            Adapters,
            _pipeline.DenoiserName,
            _options.Model.Path!,
            _lora.ToAdapterOptions(),
            _pipeline.Denoiser.Parameters,
            _options.Model.Scheduler
        );

    /// <inheritdoc/>
    public void Dispose() => Adapters.Dispose();
}
