using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Denoisers;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.UNet;
using Retouch.Diffusion;
using Retouch.Pipelines.Lora;
using Retouch.Torch;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A latent diffusion model in the layout of diffusers: <c>model_index.json</c>, <c>vae/</c>, <c>transformer/</c> or <c>unet/</c>,
/// <c>scheduler/</c>. Components that Retouch does not read travel along as files when the pipeline is saved.
/// </summary>
public sealed partial class LatentDiffusionPipeline : IDisposable
{
    private readonly Component _autoencoder;
    private readonly Component _denoiser;
    private readonly PipelineIndex _index;
    private readonly ConfigDocument _scheduler;
    private readonly string _denoiserFolder;
    private readonly string? _source;
    private readonly string? _passengerSource;
    private readonly List<string> _passengers;
    private readonly List<TextAdapters> _textAdapters = [];
    private readonly List<string> _warnings = [];

    private LatentDiffusionPipeline(
        Component autoencoder,
        Component denoiser,
        string denoiserFolder,
        PipelineIndex index,
        ConfigDocument scheduler,
        string? source,
        string? passengerSource
    )
    {
        (_autoencoder, _denoiser, _denoiserFolder, _index, _scheduler, _source) = (
            autoencoder,
            denoiser,
            denoiserFolder,
            index,
            scheduler,
            source
        );
        _passengerSource = passengerSource;
        Autoencoder = (IAutoencoder)autoencoder.Network;
        Denoiser = (IDenoiser)denoiser.Network;
        _passengers = passengerSource is null ? [] : index.Passengers(passengerSource, denoiserFolder);
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
    public string DenoiserName => _denoiserFolder;

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
        Denoiser.TextWidth is not null && _passengerSource is { } folder && PromptEncoders.FoldersOf(folder).Count > 0 ? folder : null;

    /// <summary>How noise is mixed in and what the denoiser predicts, as <see cref="SchedulerConfig"/> says.</summary>
    /// <param name="density">Where training looks; uniform where null.</param>
    /// <exception cref="InputException">The scheduler is unknown, or its members make no formulation.</exception>
    public Formulation CreateFormulation(TimestepDensity? density = null) =>
        FormulationFactory.FromSchedulerConfig(
            SchedulerConfig,
            _source is null ? PipelineLayout.SchedulerName : Path.Combine(_source, "scheduler", PipelineLayout.SchedulerName),
            density
        );

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
        var passengers = promptsFrom is null ? null : Path.GetFullPath(promptsFrom);
        return new LatentDiffusionPipeline(vae, network, folder, index, ConfigDocument.Create(schedulerConfig), null, passengers)
        {
            Labels = labels ?? new Dictionary<int, string>(),
        };
    }

    /// <summary>Reads the text encoders; whoever asks disposes them.</summary>
    /// <param name="device">Where the weights go.</param>
    /// <param name="dtype">Their type; null keeps the stored one.</param>
    /// <exception cref="InputException">The denoiser takes no prompts, or encoders are missing, broken or do not fit it.</exception>
    public PromptEncoders LoadPromptEncoders(Device device, DType? dtype = DType.Float32)
    {
        if (Denoiser.TextWidth is not { } width)
            throw new InputException($"This denoiser ({_denoiser.ClassName}) takes no prompts.");
        var folder =
            PromptFolder
            ?? throw new InputException(
                $"The denoiser ({_denoiser.ClassName}) takes prompts, but '{_passengerSource ?? "the model"}' has no "
                    + $"text_encoder/ and no tokenizer/. Download the whole model."
            );
        var encoders = PromptEncoders.Load(folder, width, device, dtype);
        _textAdapters.ForEach(encoders.Merge);
        return encoders;
    }

    /// <summary>Whether a folder holds a pipeline, or adapters of one (<see cref="AdapterFolder"/>).</summary>
    public static bool IsAt(string folder) => File.Exists(Path.Combine(folder, PipelineLayout.IndexName)) || AdapterFolder.IsAt(folder);

    /// <summary>What is odd about what was read, in words for people: adapters that were trained on other weights.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>
    /// What was laid over the text encoders (<see cref="Merge"/>): what encoded prompts depend on besides the encoders' folders.
    /// </summary>
    public IReadOnlyList<TextAdapters> TextAdapters => _textAdapters;

    /// <summary>
    /// Adds low-rank adapters to the denoiser's weights, and those of text encoders to theirs whenever they are read or written.
    /// </summary>
    /// <param name="path">The file, or a folder that holds <see cref="LoraFile.Name"/>.</param>
    /// <param name="strength">What they are multiplied by besides their own scale; 1 is as trained.</param>
    /// <exception cref="InputException">They do not fit: everything that does not is named.</exception>
    public void Merge(string path, double strength = 1)
    {
        var parts = LoraFile.PartsOf(path);
        List<TextAdapters> texts =
        [
            .. parts.OfType<string>().Select(encoder => new TextAdapters(encoder, Path.GetFullPath(path), strength)),
        ];
        foreach (var text in texts)
        {
            var folder = _passengers.Contains(text.Encoder)
                ? Path.Combine(_passengerSource!, text.Encoder)
                : throw new InputException($"'{path}' has adapters of {text.Encoder}, which this model does not have.");
            using var encoder = ComponentFolder.Describe(folder);
            var target = LoraTarget.TextEncoder(ComponentRegistry.Of(encoder.Network).Parameters(encoder.Network), text.Encoder);
            _warnings.AddRange(LoraFile.Check(path, target));
        }

        if (parts.Contains(null))
        {
            _warnings.AddRange(LoraFile.Check(path, LoraTarget.Denoiser(Denoiser)));
            using var adapters = LoraFile.Attach(
                path,
                LoraTarget.Denoiser(Denoiser),
                Denoiser.Parameters.All[0].Value.Device,
                DType.Float32
            );
            adapters.Merge(strength);
        }

        _textAdapters.AddRange(texts);
    }

    /// <summary>As <see cref="NativeSize"/>, from the configurations alone.</summary>
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

    /// <summary>A second denoiser with the same configuration and weights, in memory of its own; whoever asked disposes it.</summary>
    public IDenoiser CopyDenoiser()
    {
        var config = _denoiser.CurrentConfig().Json;
        var copy = (IDenoiser)ComponentRegistry.Find(config, ComponentFolder.ConfigName).Create(config, ComponentFolder.ConfigName);
        copy.Parameters.CopyFrom(Denoiser.Parameters);
        return copy;
    }

    /// <summary>Writes the pipeline: the folder is replaced as a whole or not at all. It may be the one that was read.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="dtype">Type of the stored weights; null keeps theirs.</param>
    /// <param name="denoiserTensors">Stand in for the denoiser's own under the same keys: an average of the weights.</param>
    /// <param name="maxShardBytes">Splits each component's weights; see <see cref="ComponentFolder.Save"/>.</param>
    /// <exception cref="InputException">A weight is beyond the range of float16, or a component that has to travel along is
    /// gone.</exception>
    /// <exception cref="EnvironmentException">The disk is full or the folder cannot be written to.</exception>
    public void Save(
        string folder,
        DType? dtype = null,
        IEnumerable<KeyValuePair<string, Tensor>>? denoiserTensors = null,
        long? maxShardBytes = null
    ) =>
        AtomicFolder.Write(
            folder,
            temporary =>
            {
                foreach (var name in _passengers)
                    Copy(name, Path.Combine(temporary, name), maxShardBytes);
                Directory.CreateDirectory(Path.Combine(temporary, "scheduler"));
                ComponentFolder.Fill(
                    Directory.CreateDirectory(Path.Combine(temporary, "vae")).FullName,
                    _autoencoder,
                    dtype,
                    null,
                    maxShardBytes
                );
                ComponentFolder.Fill(
                    Directory.CreateDirectory(Path.Combine(temporary, _denoiserFolder)).FullName,
                    _denoiser,
                    dtype,
                    denoiserTensors,
                    maxShardBytes
                );
                AtomicFile.WriteText(
                    Path.Combine(temporary, "scheduler", PipelineLayout.SchedulerName),
                    _scheduler.Change(_scheduler.Json, SchedulerConfig).Text
                );
                AtomicFile.WriteText(Path.Combine(temporary, PipelineLayout.IndexName), _index.With(Labels, SchedulerConfig).Text);
            }
        );

    /// <inheritdoc/>
    public void Dispose()
    {
        _autoencoder.Dispose();
        _denoiser.Dispose();
    }

    private void Copy(string name, string target, long? maxShardBytes)
    {
        var from = Path.Combine(_passengerSource!, name);
        if (!Directory.Exists(from))
            throw new InputException(
                $"'{from}' was there when the pipeline was read and is gone now, so that it cannot be copied. Put it back and save again."
            );
        if (_textAdapters.All(a => a.Encoder != name))
        {
            FolderCopy.Copy(from, target);
            return;
        }

        using var component = ComponentFolder.Load(from, Device.Cpu, dtype: null);
        foreach (var adapters in _textAdapters.Where(a => a.Encoder == name))
            adapters.MergeInto(ComponentRegistry.Of(component.Network).Parameters(component.Network));
        ComponentFolder.Fill(Directory.CreateDirectory(target).FullName, component, null, null, maxShardBytes);
    }
}
