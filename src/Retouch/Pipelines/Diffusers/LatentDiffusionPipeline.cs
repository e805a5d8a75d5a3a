using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Denoisers;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.UNet;
using Retouch.Diffusion;
using Retouch.Pipelines.Lora;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A latent diffusion model: autoencoder, denoiser and scheduler configuration, with the other files of the model's folder.
/// <see cref="PipelineReader"/> and <see cref="PipelineWriter"/> read and write the folder; components that Retouch does not load are
/// copied as files on saving (<see cref="Companions"/>).
/// </summary>
public sealed partial class LatentDiffusionPipeline : ILatentDiffusionModel, IDisposable
{
    private readonly List<TextAdapters> _textAdapters = [];
    private readonly List<string> _warnings = [];

    /// <param name="autoencoder">Autoencoder; disposed with this object.</param>
    /// <param name="denoiser">Denoiser; disposed with this object.</param>
    /// <param name="denoiserName">Folder of the denoiser: <c>unet</c> or <c>transformer</c>.</param>
    /// <param name="index">Class and components of the pipeline.</param>
    /// <param name="scheduler"><c>scheduler_config.json</c>.</param>
    /// <param name="source">Folder that the pipeline was loaded from; null for a new one.</param>
    /// <param name="companionSource">Folder of the other components, or null.</param>
    /// <exception cref="InputException">Autoencoder and denoiser differ in latent channels.</exception>
    internal LatentDiffusionPipeline(
        Component autoencoder,
        Component denoiser,
        string denoiserName,
        PipelineIndex index,
        ConfigDocument scheduler,
        string? source,
        string? companionSource
    )
    {
        (AutoencoderComponent, DenoiserComponent, DenoiserName) = (autoencoder, denoiser, denoiserName);
        (Index, Scheduler, Source, CompanionSource) = (index, scheduler, source, companionSource);
        Autoencoder = (IAutoencoder)autoencoder.Network;
        Denoiser = (IDenoiser)denoiser.Network;
        Companions = companionSource is null ? [] : index.Companions(companionSource, denoiserName);
        SchedulerConfig = scheduler.Json;
        _warnings.AddRange([.. autoencoder.Notes, .. denoiser.Notes]);
        Labels = index.Labels;
        if (Autoencoder.LatentChannels != Denoiser.LatentChannels)
            throw new InputException(
                $"The autoencoder has {Autoencoder.LatentChannels} latent channels, the denoiser "
                    + $"{Denoiser.LatentChannels}: they do not belong together."
            );
    }

    /// <summary>Autoencoder of the latents.</summary>
    public IAutoencoder Autoencoder { get; }

    /// <summary>The denoiser.</summary>
    public IDenoiser Denoiser { get; }

    /// <summary>Name of the denoiser in the pipeline: <c>unet</c> or <c>transformer</c>.</summary>
    public string DenoiserName { get; }

    /// <summary>Native picture side of the denoiser, in pixels.</summary>
    public int NativeSize => Denoiser.SampleSize * Autoencoder.Downsampling;

    /// <summary><c>scheduler_config.json</c>; changes are written on saving.</summary>
    public JsonObject SchedulerConfig { get; set; }

    /// <summary>Class names by label (<c>id2label</c>); empty without names.</summary>
    public IReadOnlyDictionary<int, string> Labels { get; set; }

    /// <summary>Pipeline folder with the text encoders; null for denoisers without prompts, and without encoders.</summary>
    public string? PromptFolder =>
        Denoiser.TextWidth is not null && CompanionSource is { } folder && PromptEncoders.FoldersOf(folder).Count > 0 ? folder : null;

    /// <summary>Warnings from loading, such as adapters of a different base model.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Adds to <see cref="Warnings"/>.</summary>
    internal void Warn(IEnumerable<string> warnings) => _warnings.AddRange(warnings);

    /// <summary>
    /// Adapters merged into text encoders (<see cref="Merge"/>): a dependency of encoded prompts besides the encoders' folders.
    /// </summary>
    public IReadOnlyList<TextAdapters> TextAdapters => _textAdapters;

    /// <inheritdoc/>
    public SamplerOptions Sampler => SamplerOptions.FromSchedulerConfig(SchedulerConfig);

    /// <summary>The autoencoder with its configuration file.</summary>
    internal Component AutoencoderComponent { get; }

    /// <summary>The denoiser with its configuration file.</summary>
    internal Component DenoiserComponent { get; }

    /// <summary><c>model_index.json</c> as loaded.</summary>
    internal PipelineIndex Index { get; }

    /// <summary><c>scheduler_config.json</c> as loaded.</summary>
    internal ConfigDocument Scheduler { get; }

    /// <summary>Folder that the pipeline was loaded from; null for a new one.</summary>
    internal string? Source { get; }

    /// <summary>Folder of the <see cref="Companions"/>, or null.</summary>
    internal string? CompanionSource { get; }

    /// <summary>Names of components that are copied as files.</summary>
    internal IReadOnlyList<string> Companions { get; }

    /// <inheritdoc cref="PipelineReader.Load"/>
    public static LatentDiffusionPipeline Load(
        string folder,
        Device device,
        DType? dtype = DType.Float32,
        string? variant = null,
        DType? autoencoderType = DType.Float32,
        NarrowLayers? layers = null
    ) => PipelineReader.Load(folder, device, dtype, variant, autoencoderType, layers);

    /// <inheritdoc cref="PipelineReader.IsAt"/>
    public static bool IsAt(string folder) => PipelineReader.IsAt(folder);

    /// <inheritdoc cref="PipelineReader.NativeSizeOf"/>
    public static int NativeSizeOf(string folder) => PipelineReader.NativeSizeOf(folder);

    /// <summary>Creates a pipeline from networks, which it owns.</summary>
    /// <param name="autoencoder">Network of a class in <see cref="ComponentRegistry"/>.</param>
    /// <param name="denoiser">Network of a class in <see cref="ComponentRegistry"/>.</param>
    /// <param name="schedulerConfig">Scheduler configuration with <c>_class_name</c>.</param>
    /// <param name="labels">Class names by label.</param>
    /// <param name="promptsFrom">Pipeline folder whose text encoders and tokenizers are used; null for a pipeline without prompts.</param>
    /// <exception cref="InputException">Autoencoder and denoiser differ in latent channels, the scheduler has no class, or the folder is
    /// not a pipeline.</exception>
    public static LatentDiffusionPipeline Create(
        IAutoencoder autoencoder,
        IDenoiser denoiser,
        JsonObject schedulerConfig,
        IReadOnlyDictionary<int, string>? labels = null,
        string? promptsFrom = null
    )
    {
        return Create(Component.Create(autoencoder), denoiser, schedulerConfig, labels, promptsFrom);
    }

    /// <summary>Creates a pipeline from a new or loaded autoencoder and a new denoiser, which it owns.</summary>
    internal static LatentDiffusionPipeline Create(
        Component vae,
        IDenoiser denoiser,
        JsonObject schedulerConfig,
        IReadOnlyDictionary<int, string>? labels,
        string? promptsFrom
    )
    {
        var network = Component.Create(denoiser);
        var folder = denoiser is UNet2DCondition ? "unet" : "transformer";
        // diffusers has no class-conditional pipeline for other networks; its components can be loaded one by one.
        var index = promptsFrom is null
            ? PipelineIndex.Create(denoiser is DiTTransformer2D ? "DiTPipeline" : "DiffusionPipeline")
            : PipelineIndex.ForPrompts(promptsFrom);
        index = index
            .With("scheduler", new JsonMembers(schedulerConfig, PipelineLayout.SchedulerName).Text("_class_name"))
            .With(folder, network.ClassName)
            .With("vae", vae.ClassName);
        var companions = promptsFrom is null ? null : Path.GetFullPath(promptsFrom);
        return new LatentDiffusionPipeline(vae, network, folder, index, ConfigDocument.Create(schedulerConfig), null, companions)
        {
            Labels = labels ?? new Dictionary<int, string>(),
        };
    }

    /// <inheritdoc/>
    /// <param name="density">Density of training timesteps; null for uniform.</param>
    public DenoiserModel CreateModel(TimestepDensity? density = null) => new(Denoiser, CreateFormulation(density));

    /// <summary>Diffusion formulation of <see cref="SchedulerConfig"/>.</summary>
    /// <param name="density">Density of training timesteps; null for uniform.</param>
    /// <exception cref="InputException">The scheduler is unknown, or its members are inconsistent.</exception>
    public Formulation CreateFormulation(TimestepDensity? density = null) =>
        FormulationFactory.FromSchedulerConfig(
            SchedulerConfig,
            Source is null ? PipelineLayout.SchedulerName : Path.Combine(Source, "scheduler", PipelineLayout.SchedulerName),
            density
        );

    /// <summary>Loads the text encoders, owned by the caller.</summary>
    /// <param name="device">Device of the weights.</param>
    /// <param name="dtype">Type of the weights; null for the stored type. In float32, weights of layers that are stored in a narrower type
    /// keep it and are converted layer by layer: the same results in half the memory.</param>
    /// <exception cref="InputException">The denoiser takes no prompts, or encoders are missing, invalid or do not fit it.</exception>
    public PromptEncoders LoadPromptEncoders(Device device, DType? dtype = DType.Float32)
    {
        if (Denoiser.TextWidth is not { } width)
            throw new InputException($"This denoiser ({DenoiserComponent.ClassName}) takes no prompts.");
        var folder =
            PromptFolder
            ?? throw new InputException(
                $"The denoiser ({DenoiserComponent.ClassName}) takes prompts, but '{CompanionSource ?? "the model"}' has no "
                    + $"text_encoder/ and no tokenizer/. Download the whole model."
            );
        // Merging adapters rounds to the type of the weights.
        var layers = _textAdapters.Count == 0 ? new NarrowLayers() : null;
        var encoders = PromptEncoders.Load(folder, width, device, dtype, layers: layers);
        _textAdapters.ForEach(encoders.Merge);
        return encoders;
    }

    /// <summary>
    /// Adds low-rank adapters to the weights of the denoiser, and to those of text encoders whenever these are loaded or saved.
    /// </summary>
    /// <param name="path">File, or folder that contains <see cref="LoraFile.Name"/>.</param>
    /// <param name="strength">Factor in addition to the adapters' own scale; 1 as trained.</param>
    /// <exception cref="InputException">The adapters do not fit; the message lists all problems.</exception>
    public void Merge(string path, double strength = 1) => _textAdapters.AddRange(AdapterMerge.Into(this, path, strength));

    /// <summary>A copy of the denoiser with its own memory, owned by the caller.</summary>
    /// <param name="layers">Narrow storage of the copy's layer weights; null for none.</param>
    public IDenoiser CopyDenoiser(NarrowLayers? layers = null)
    {
        var config = DenoiserComponent.CurrentConfig().Json;
        var copy = (IDenoiser)ComponentRegistry.Find(config, ComponentFolder.ConfigName).Create(config, ComponentFolder.ConfigName);
        if (layers is not null)
            copy.Parameters.Narrow(layers);
        copy.Parameters.CopyFrom(Denoiser.Parameters);
        return copy;
    }

    /// <inheritdoc cref="PipelineWriter.Save"/>
    public void Save(
        string folder,
        DType? dtype = null,
        IEnumerable<KeyValuePair<string, Tensor>>? denoiserTensors = null,
        long? maxShardBytes = null
    ) => PipelineWriter.Save(this, folder, dtype, denoiserTensors, maxShardBytes);

    /// <inheritdoc/>
    public void Dispose()
    {
        AutoencoderComponent.Dispose();
        DenoiserComponent.Dispose();
    }

    /// <summary>Adds to <see cref="Warnings"/>.</summary>
    internal void Warn(string warning) => _warnings.Add(warning);
}
