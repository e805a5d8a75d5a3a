using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A network with the <c>config.json</c> that it came with, so that it can be written back without losing what Retouch does not know.
/// </summary>
/// <param name="Network">The network; whoever holds the component disposes it.</param>
/// <param name="Config">Its file, or a new one.</param>
public sealed record Component(IDisposable Network, ConfigDocument Config) : IDisposable
{
    private readonly JsonObject _known = ComponentRegistry.Of(Network).Describe(Network);

    /// <summary>What is to be known of how it was read: weights that were left aside. Whole sentences.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>A network made here.</summary>
    public static Component Create(IDisposable network) =>
        new(network, ConfigDocument.Create(ComponentRegistry.Of(network).Describe(network)));

    /// <summary>The class that the file names.</summary>
    public string ClassName => ComponentRegistry.ClassNameOf(Config.Json, ComponentFolder.ConfigName);

    /// <summary>
    /// The file as it has to be written: changed where the network's configuration differs from when this component was made.
    /// </summary>
    public ConfigDocument CurrentConfig() => Config.Change(_known, ComponentRegistry.Of(Network).Describe(Network));

    /// <inheritdoc/>
    public void Dispose() => Network.Dispose();
}

/// <summary>Reads and writes component folders of diffusers and transformers: <c>config.json</c> and safetensors.</summary>
public static class ComponentFolder
{
    internal const string ConfigName = "config.json";

    /// <summary>Reads the configuration and builds the network, without memory for its parameters.</summary>
    /// <exception cref="InputException">No <c>config.json</c>, an unknown class, or a bad member.</exception>
    public static Component Describe(string folder)
    {
        AtomicFolder.Recover(folder);
        if (!Directory.Exists(folder))
            throw new InputException($"There is no folder '{folder}'.");
        if (TaesdFolder.Is(folder))
        {
            using var halves = TaesdFolder.Open(folder);
            return Component.Create(new AutoencoderTiny(halves.Config));
        }

        var path = Path.Combine(folder, ConfigName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, PipelineLayout.IndexName)))
            throw new InputException(
                $"'{folder}' holds a whole pipeline. Give the folder of one of its components, for instance "
                    + $"'{Path.Combine(folder, "vae")}'."
            );
        var config = ConfigDocument.Read(path);
        var json = config.Json;
        return new Component(ComponentRegistry.Find(json, path).Create(json, path), config);
    }

    /// <summary>Reads a network with its weights.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="device">Where the weights go.</param>
    /// <param name="dtype">Their type; null keeps the stored one.</param>
    /// <param name="variant">Which variant of the weights; see <see cref="WeightFiles.Open"/>.</param>
    /// <exception cref="InputException">Files are missing or broken, or keys do not fit: all of them are named.</exception>
    public static Component Load(string folder, Device device, DType? dtype = DType.Float32, string? variant = null)
    {
        var component = Describe(folder);
        try
        {
            var kind = ComponentRegistry.Of(component.Network);
            using var weights = OpenWeights(folder, kind, variant);
            kind.Load(component.Network, weights, device, dtype, folder);
            return weights is WeightFiles { Note: { } note } ? component with { Notes = [note] } : component;
        }
        catch
        {
            component.Dispose();
            throw;
        }
    }

    /// <summary>Writes a network: the folder is replaced as a whole or not at all.</summary>
    /// <param name="folder">The component's folder.</param>
    /// <param name="component">The network and its configuration.</param>
    /// <param name="dtype">Type of the stored weights; null keeps theirs.</param>
    /// <param name="tensors">Stand in for the network's own under the same keys: an average of the weights.</param>
    /// <param name="maxShardBytes">Weights beyond this are split into files of at most as many bytes (a larger tensor stands alone) under
    /// an index, as diffusers does; null keeps one file.</param>
    /// <exception cref="InputException">A weight is beyond the range of float16.</exception>
    /// <exception cref="EnvironmentException">The disk is full or the folder cannot be written to.</exception>
    public static void Save(
        string folder,
        Component component,
        DType? dtype = null,
        IEnumerable<KeyValuePair<string, Tensor>>? tensors = null,
        long? maxShardBytes = null
    ) => AtomicFolder.Write(folder, temporary => Fill(temporary, component, dtype, tensors, maxShardBytes));

    /// <summary>The weights of a folder under today's names of files.</summary>
    internal static IWeights OpenWeights(string folder, ComponentKind kind, string? variant) =>
        TaesdFolder.Is(folder) ? TaesdFolder.Open(folder) : WeightFiles.Open(folder, variant, kind.WeightStem);

    /// <summary>Writes into a folder that nobody reads yet.</summary>
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
            throw new ArgumentException($"'{stray}' is no tensor of this network.", nameof(tensors));
        var all = own.Tensors().Select(pair => Lazy(pair.Key, others.GetValueOrDefault(pair.Key, pair.Value), dtype));
        WeightShards.Write(folder, kind.WeightStem, [.. all], maxShardBytes);
        AtomicFile.WriteText(Path.Combine(folder, ConfigName), component.CurrentConfig().Text);
    }

    private static LazyTensor Lazy(string name, Tensor tensor, DType? dtype) =>
        new(
            name,
            tensor.DType.IsFloatingPoint() ? dtype ?? tensor.DType : tensor.DType,
            tensor.Shape,
            () => WeightTypes.Convert(name, tensor, dtype)
        );
}
