using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>A network with its <c>config.json</c>, so that saving preserves members that Retouch does not know.</summary>
/// <param name="Network">The network; disposed with the component.</param>
/// <param name="Config">Its configuration file, loaded or new.</param>
public sealed record Component(IDisposable Network, ConfigDocument Config) : IDisposable
{
    private readonly JsonObject _known = ComponentRegistry.Of(Network).Describe(Network);

    /// <summary>Notes from loading, such as ignored weight files. Whole sentences.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Folder, type and variant that the weights were loaded from; null for a new network.</summary>
    internal (string Folder, DType? Type, string? Variant)? Origin { get; init; }

    /// <summary>
    /// The weights as they were loaded, for saving a frozen network that keeps them in a narrower type: read again, and owned by the
    /// caller. Null if those in memory are the same.
    /// </summary>
    /// <exception cref="InputException">The files no longer exist or have changed.</exception>
    internal Component? Reload() =>
        Origin is var (folder, type, variant) && ComponentRegistry.Of(Network).Parameters(Network).NarrowLayers is { IsTrained: false }
            ? ComponentFolder.Load(folder, Device.Cpu, type, variant)
            : null;

    /// <summary>A component for a new network.</summary>
    public static Component Create(IDisposable network) =>
        new(network, ConfigDocument.Create(ComponentRegistry.Of(network).Describe(network)));

    /// <summary>Class name in the configuration.</summary>
    public string ClassName => ComponentRegistry.ClassNameOf(Config.Json, ComponentFolder.ConfigName);

    /// <summary>Configuration to write: updated where the network's configuration has changed since the component was created.</summary>
    public ConfigDocument CurrentConfig() => Config.Change(_known, ComponentRegistry.Of(Network).Describe(Network));

    /// <inheritdoc/>
    public void Dispose() => Network.Dispose();
}

/// <summary>Reads and writes component folders of diffusers and transformers: <c>config.json</c> and safetensors.</summary>
public static class ComponentFolder
{
    internal const string ConfigName = "config.json";

    /// <summary>Reads the configuration and builds the network without allocating parameters.</summary>
    /// <exception cref="InputException">No <c>config.json</c>, an unknown class, or an invalid member.</exception>
    public static Component Describe(string folder)
    {
        AtomicFolder.Recover(folder);
        if (!Directory.Exists(folder))
            throw new InputException($"The folder '{folder}' does not exist.");
        if (TaesdFolder.Is(folder))
        {
            using var halves = TaesdFolder.Open(folder);
            return Component.Create(new AutoencoderTiny(TaesdKeys.Config(halves, folder)));
        }

        var path = Path.Combine(folder, ConfigName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, PipelineLayout.IndexName)))
            throw new InputException(
                $"'{folder}' is a whole pipeline. Give the folder of one of its components, such as '{Path.Combine(folder, "vae")}'."
            );
        if (!File.Exists(path))
            throw new InputException(
                $"'{folder}' is not a model: it has neither {PipelineLayout.IndexName} (a pipeline in the diffusers layout) nor "
                    + $"{ConfigName} (one of its components)."
            );
        var config = ConfigDocument.Read(path);
        var json = config.Json;
        return new Component(ComponentRegistry.Find(json, path).Create(json, path), config);
    }

    /// <summary>Loads a network with its weights.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="device">Device of the weights.</param>
    /// <param name="dtype">Type of the weights; null for the stored type.</param>
    /// <param name="variant">Variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <param name="layers">Narrow storage of layer weights; null for none.</param>
    /// <exception cref="InputException">Files are missing or invalid, or keys do not match; the message lists all of them.</exception>
    public static Component Load(
        string folder,
        Device device,
        DType? dtype = DType.Float32,
        string? variant = null,
        NarrowLayers? layers = null
    )
    {
        var component = Describe(folder);
        try
        {
            var kind = ComponentRegistry.Of(component.Network);
            if (layers is not null)
                kind.Parameters(component.Network).Narrow(layers);
            using var weights = OpenWeights(folder, kind, variant);
            kind.Load(component.Network, weights, device, dtype, folder);
            return component with { Notes = weights.Note is { } note ? [note] : [], Origin = (folder, dtype, variant) };
        }
        catch
        {
            component.Dispose();
            throw;
        }
    }

    /// <summary>Loads an autoencoder with its weights, frozen; owned by the caller.</summary>
    /// <param name="folder">Folder of the autoencoder, or of a pipeline, whose <c>vae</c> is loaded.</param>
    /// <param name="device">Device of the weights.</param>
    /// <param name="dtype">Type of the weights; null for the stored type.</param>
    /// <exception cref="InputException">The component is not an autoencoder, files are missing or invalid, or keys do not
    /// match.</exception>
    public static IAutoencoder LoadAutoencoder(string folder, Device device, DType? dtype = DType.Float32)
    {
        var own = Path.Combine(folder, "vae") is var part && Directory.Exists(part) ? part : folder;
        var component = Load(own, device, dtype);
        if (component.Network is IAutoencoder autoencoder)
            return autoencoder;
        component.Dispose();
        throw new InputException($"'{own}' is a {component.ClassName}, not an autoencoder. Give a pipeline or its 'vae' folder.");
    }

    /// <summary>Saves a network; the folder is replaced atomically.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="component">The network and its configuration.</param>
    /// <param name="dtype">Type of the stored weights; null for no conversion.</param>
    /// <param name="tensors">Replacement tensors under the same keys, such as a weight average; null for the network's own.</param>
    /// <param name="maxShardBytes">Maximum bytes per weight file; larger weights are split into shards with an index, as in diffusers (a
    /// larger tensor has its own file). Null for a single file.</param>
    /// <exception cref="InputException">A weight exceeds the range of float16.</exception>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public static void Save(
        string folder,
        Component component,
        DType? dtype = null,
        IEnumerable<KeyValuePair<string, Tensor>>? tensors = null,
        long? maxShardBytes = null
    ) => AtomicFolder.Write(folder, temporary => Fill(temporary, component, dtype, tensors, maxShardBytes));

    /// <summary>Opens the weights of a folder under current file names.</summary>
    internal static WeightFiles OpenWeights(string folder, ComponentKind kind, string? variant) =>
        TaesdFolder.Is(folder) ? TaesdFolder.Open(folder) : WeightFiles.Open(folder, variant, kind.WeightStem);

    /// <summary>Writes into a new, unpublished folder.</summary>
    internal static void Fill(
        string folder,
        Component component,
        DType? dtype,
        IEnumerable<KeyValuePair<string, Tensor>>? tensors,
        long? maxShardBytes = null
    )
    {
        ArgumentNullException.ThrowIfNull(component);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var kind = ComponentRegistry.Of(component.Network);
        var own = kind.Parameters(component.Network);
        var others = tensors?.ToDictionary(StringComparer.Ordinal) ?? [];
        if (others.Keys.FirstOrDefault(name => own.Find(name) is null) is { } stray)
            throw new ArgumentException($"'{stray}' is not a tensor of this network.", nameof(tensors));
        var all = own.Tensors().Select(pair => Lazy(pair.Key, others.GetValueOrDefault(pair.Key, pair.Value), dtype));
        WeightShards.Write(folder, kind.WeightStem, [.. all], maxShardBytes);
        AtomicFile.WriteText(Path.Combine(folder, ConfigName), component.CurrentConfig().Text);
    }

    private static LazyTensor Lazy(string name, Tensor tensor, DType? dtype) =>
        new(name, tensor.DType.ConvertedTo(dtype), tensor.Shape, () => WeightTypes.Convert(name, tensor, dtype));
}
