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

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A latent diffusion model: an autoencoder, a denoiser and a scheduler configuration, with the files that the model's folder holds
/// besides. <see cref="PipelineReader"/> and <see cref="PipelineWriter"/> read and write the folder; Retouch does not read all of its
/// components, the others are copied as files when the pipeline is saved (<see cref="Companions"/>).
/// </summary>
public sealed partial class LatentDiffusionPipeline : ILatentDiffusionModel, IDisposable
{
    private readonly List<TextAdapters> _textAdapters = [];
    private readonly List<string> _warnings = [];

    /// <param name="autoencoder">Disposed with this.</param>
    /// <param name="denoiser">Disposed with this.</param>
    /// <param name="denoiserName">Its folder: <c>unet</c> or <c>transformer</c>.</param>
    /// <param name="index">The pipeline's class and components.</param>
    /// <param name="scheduler"><c>scheduler_config.json</c>.</param>
    /// <param name="source">The folder that all this was read from; null where it was made here.</param>
    /// <param name="companionSource">The folder that the other components lie in; null where there are none.</param>
    /// <exception cref="InputException">The latents' channels differ.</exception>
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
                $"The autoencoder makes latents of {Autoencoder.LatentChannels} channels, the denoiser takes "
                    + $"{Denoiser.LatentChannels}: they do not belong together."
            );
    }

    /// <summary>Images to latents and back.</summary>
    public IAutoencoder Autoencoder { get; }

    /// <summary>The network that is post-trained.</summary>
    public IDenoiser Denoiser { get; }

    /// <summary>The denoiser's name in the pipeline: <c>unet</c> or <c>transformer</c>.</summary>
    public string DenoiserName { get; }

    /// <summary>Side of the pictures that the denoiser was made for, in pixels.</summary>
    public int NativeSize => Denoiser.SampleSize * Autoencoder.Downsampling;

    /// <summary><c>scheduler_config.json</c>; what is changed here is changed in the file on saving.</summary>
    public JsonObject SchedulerConfig { get; set; }

    /// <summary>Names of the classes by label (<c>id2label</c>); empty where there are none.</summary>
    public IReadOnlyDictionary<int, string> Labels { get; set; }

    /// <summary>
    /// The pipeline folder whose text encoders read the prompts; null where the denoiser takes none, or there are no encoders.
    /// </summary>
    public string? PromptFolder =>
        Denoiser.TextWidth is not null && CompanionSource is { } folder && PromptEncoders.FoldersOf(folder).Count > 0 ? folder : null;

    /// <summary>Warnings about what was read: adapters that were trained on other weights.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>Adds to <see cref="Warnings"/>.</summary>
    internal void Warn(IEnumerable<string> warnings) => _warnings.AddRange(warnings);

    /// <summary>
    /// The adapters merged into the text encoders (<see cref="Merge"/>): what encoded prompts depend on besides the encoders' folders.
    /// </summary>
    public IReadOnlyList<TextAdapters> TextAdapters => _textAdapters;

    /// <inheritdoc/>
    public SamplerOptions Sampler => SamplerOptions.FromSchedulerConfig(SchedulerConfig);

    /// <summary>The autoencoder with its file.</summary>
    internal Component AutoencoderComponent { get; }

    /// <summary>The denoiser with its file.</summary>
    internal Component DenoiserComponent { get; }

    /// <summary><c>model_index.json</c>, as it was read.</summary>
    internal PipelineIndex Index { get; }

    /// <summary><c>scheduler_config.json</c>, as it was read.</summary>
    internal ConfigDocument Scheduler { get; }

    /// <summary>The folder that this was read from; null where it was made here.</summary>
    internal string? Source { get; }

    /// <summary>The folder that <see cref="Companions"/> lie in; null where there are none.</summary>
    internal string? CompanionSource { get; }

    /// <summary>Names of the components that are copied as files.</summary>
    internal IReadOnlyList<string> Companions { get; }

    /// <inheritdoc cref="PipelineReader.Load"/>
    public static LatentDiffusionPipeline Load(
        string folder,
        Device device,
        DType? dtype = DType.Float32,
        string? variant = null,
        DType? autoencoderType = DType.Float32
    ) => PipelineReader.Load(folder, device, dtype, variant, autoencoderType);

    /// <inheritdoc cref="PipelineReader.IsAt"/>
    public static bool IsAt(string folder) => PipelineReader.IsAt(folder);

    /// <inheritdoc cref="PipelineReader.NativeSizeOf"/>
    public static int NativeSizeOf(string folder) => PipelineReader.NativeSizeOf(folder);

    /// <summary>Puts networks made here together. The pipeline disposes them.</summary>
    /// <param name="autoencoder">A kind of <see cref="ComponentRegistry"/>.</param>
    /// <param name="denoiser">A kind of <see cref="ComponentRegistry"/>.</param>
    /// <param name="schedulerConfig">With <c>_class_name</c>.</param>
    /// <param name="labels">Names of the classes by label.</param>
    /// <param name="promptsFrom">A pipeline folder whose text encoders and tokenizers the new pipeline has; null for one without
    /// prompts.</param>
    /// <exception cref="InputException">The latents' channels differ, or the scheduler has no class, or the folder is no
    /// pipeline.</exception>
    public static LatentDiffusionPipeline Create(
        IAutoencoder autoencoder,
        IDenoiser denoiser,
        JsonObject schedulerConfig,
        IReadOnlyDictionary<int, string>? labels = null,
        string? promptsFrom = null
    )
    {
        var (vae, network) = (Component.Create(autoencoder), Component.Create(denoiser));
        var folder = denoiser is UNet2DCondition ? "unet" : "transformer";
        // diffusers has no pipeline for other networks with classes alone: its parts are loaded one by one.
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
    /// <param name="density">Where training looks; uniform where null.</param>
    public DenoiserModel CreateModel(TimestepDensity? density = null) => new(Denoiser, CreateFormulation(density));

    /// <summary>How noise is mixed in and what the denoiser predicts, as <see cref="SchedulerConfig"/> says.</summary>
    /// <param name="density">Where training looks; uniform where null.</param>
    /// <exception cref="InputException">The scheduler is unknown, or its members make no formulation.</exception>
    public Formulation CreateFormulation(TimestepDensity? density = null) =>
        FormulationFactory.FromSchedulerConfig(
            SchedulerConfig,
            Source is null ? PipelineLayout.SchedulerName : Path.Combine(Source, "scheduler", PipelineLayout.SchedulerName),
            density
        );

    /// <summary>Reads the text encoders; whoever asks disposes them.</summary>
    /// <param name="device">Where the weights go.</param>
    /// <param name="dtype">Their type; null keeps the stored one.</param>
    /// <exception cref="InputException">The denoiser takes no prompts, or encoders are missing, broken or do not fit it.</exception>
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
        var encoders = PromptEncoders.Load(folder, width, device, dtype);
        _textAdapters.ForEach(encoders.Merge);
        return encoders;
    }

    /// <summary>
    /// Adds low-rank adapters to the denoiser's weights, and those of text encoders to theirs whenever they are read or written.
    /// </summary>
    /// <param name="path">The file, or a folder that holds <see cref="LoraFile.Name"/>.</param>
    /// <param name="strength">What they are multiplied by besides their own scale; 1 is as trained.</param>
    /// <exception cref="InputException">They do not fit: everything that does not is named.</exception>
    public void Merge(string path, double strength = 1) => _textAdapters.AddRange(AdapterMerge.Into(this, path, strength));

    /// <summary>A second denoiser with the same configuration and weights, in memory of its own; whoever asked disposes it.</summary>
    public IDenoiser CopyDenoiser()
    {
        var config = DenoiserComponent.CurrentConfig().Json;
        var copy = (IDenoiser)ComponentRegistry.Find(config, ComponentFolder.ConfigName).Create(config, ComponentFolder.ConfigName);
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
