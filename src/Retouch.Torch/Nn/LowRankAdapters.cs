using Retouch.Core.Errors;

namespace Retouch.Torch.Nn;

/// <summary>Initialisation of A; B is always zero, so that a new adapter has no effect.</summary>
public enum AdapterInit
{
    /// <summary>Uniform in ±1/√fan_in (Kaiming's bound with slope √5), peft's default.</summary>
    KaimingUniform,

    /// <summary>Normal with standard deviation 1/rank, as in diffusers' training scripts.</summary>
    Gaussian,
}

/// <summary>Target layers and size of low-rank adapters.</summary>
public sealed record AdapterOptions
{
    /// <summary>Attention layers: query, key, value and output, including those of a joint attention's context.</summary>
    public const string Attention = "attention";

    /// <summary>Every linear layer.</summary>
    public const string AllLinear = "all-linear";

    /// <summary>Every linear layer and every convolution.</summary>
    public const string All = "all";

    /// <summary>Rank of B·A.</summary>
    public int Rank { get; init; } = 16;

    /// <summary>Alpha; B·A is scaled by alpha/rank. Null for alpha = rank, a scale of 1.</summary>
    public double? Alpha { get; init; }

    /// <summary>
    /// <see cref="Attention"/>, <see cref="AllLinear"/>, <see cref="All"/>, or suffixes of module paths in whole components:
    /// <c>ff.net.2</c> matches every layer with that suffix.
    /// </summary>
    public IReadOnlyList<string> Targets { get; init; } = [Attention];

    /// <summary>Initialisation of A.</summary>
    public AdapterInit Start { get; init; }
}

/// <summary>A layer with an adapter.</summary>
/// <param name="Path">Path of the layer in its network.</param>
/// <param name="Rank">Rank of the adapter.</param>
/// <param name="Alpha">Alpha; B·A is scaled by alpha/rank.</param>
public readonly record struct AdaptedLayer(string Path, int Rank, double Alpha);

/// <summary>
/// Low-rank adapters (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021) of a network with frozen weights. Their
/// parameters are a separate store, which is trained, averaged and saved. Disposing detaches them from the network.
/// </summary>
public sealed class LowRankAdapters : IDisposable
{
    private static readonly string[] AttentionNames =
    [
        "to_q",
        "to_k",
        "to_v",
        "to_out.0",
        "add_q_proj",
        "add_k_proj",
        "add_v_proj",
        "to_add_out",
    ];

    private readonly ParameterStore _network;
    private readonly List<(Parameter Weight, LowRankAdapter Adapter)> _attached = [];

    private LowRankAdapters(ParameterStore network, IEnumerable<AdaptedLayer> layers, AdapterInit start)
    {
        _network = network;
        foreach (var layer in layers)
        {
            var weight = network.Find($"{layer.Path}.weight")!;
            var (outputs, inner) = (weight.Shape[0], weight.Shape[1..]);
            var fan = inner.Aggregate(1L, static (a, b) => a * b);
            var path = new ParameterPath(Parameters, layer.Path);
            var down = (path / "lora_A").Parameter(
                "weight",
                [layer.Rank, .. inner],
                start == AdapterInit.Gaussian ? Inits.Normal(1.0 / layer.Rank) : Inits.FanIn(fan)
            );
            var up = (path / "lora_B").Parameter(
                "weight",
                inner.Length == 1 ? [outputs, layer.Rank] : [outputs, layer.Rank, 1, 1],
                Inits.Zeros
            );
            _attached.Add((weight, new LowRankAdapter(down, up, layer.Alpha / layer.Rank, this)));
        }

        foreach (var (weight, adapter) in _attached)
            weight.Adapter = adapter;
    }

    /// <summary>
    /// Adapter parameters, <c>PATH.lora_A.weight</c> and <c>PATH.lora_B.weight</c>; allocated when initialised or loaded.
    /// </summary>
    public ParameterStore Parameters { get; } = new();

    /// <summary>Path and scale of the adapted layers, in the network's order.</summary>
    public IEnumerable<(string Path, double Scale)> Layers => _attached.Select(static a => (a.Weight.LayerPath, a.Adapter.Scale));

    /// <summary>Whether the adapters are active.</summary>
    public bool IsOn { get; private set; } = true;

    /// <summary>Attaches adapters to the target layers and freezes the network.</summary>
    /// <param name="network">Parameters of the network, with allocated memory.</param>
    /// <param name="options">Targets, rank and scale.</param>
    /// <exception cref="UsageException">The rank or alpha is not positive, or a target matches no layer.</exception>
    /// <exception cref="InvalidOperationException">The network already has adapters.</exception>
    public static LowRankAdapters Attach(ParameterStore network, AdapterOptions options)
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(options);
        var layers = Adaptable(network);
        var chosen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var target in options.Targets)
        {
            var found = layers.Where(l => Fits(l, target)).Select(static l => l.LayerPath).ToList();
            if (found.Count == 0)
                throw new UsageException(
                    $"No layer is called '{target}'. Layers of this network end in "
                        + string.Join(
                            ", ",
                            layers.Select(static l => LastName(l.LayerPath)).Distinct().Order(StringComparer.Ordinal).Take(20)
                        )
                        + $"; "
                        + $"{AdapterOptions.Attention}, {AdapterOptions.AllLinear} and {AdapterOptions.All} select groups of layers."
                );
            chosen.UnionWith(found);
        }

        var alpha = options.Alpha ?? options.Rank;
        return Attach(
            network,
            [.. layers.Where(l => chosen.Contains(l.LayerPath)).Select(l => new AdaptedLayer(l.LayerPath, options.Rank, alpha))],
            options.Start
        );
    }

    /// <summary>Attaches adapters to given layers and freezes the network.</summary>
    /// <param name="network">Parameters of the network, with allocated memory.</param>
    /// <param name="layers">Layers with their ranks.</param>
    /// <param name="start">Initialisation of A.</param>
    /// <exception cref="UsageException">There are no layers, a rank or alpha is not positive, or a path is not a layer.</exception>
    /// <exception cref="InvalidOperationException">The network already has adapters.</exception>
    public static LowRankAdapters Attach(
        ParameterStore network,
        IReadOnlyList<AdaptedLayer> layers,
        AdapterInit start = AdapterInit.KaimingUniform
    )
    {
        ArgumentNullException.ThrowIfNull(network);
        ArgumentNullException.ThrowIfNull(layers);
        if (layers.Count == 0)
            throw new UsageException("Adapters need at least one layer: name a target.");
        if (layers.FirstOrDefault(static l => l.Rank < 1 || !(l.Alpha > 0)) is { Path: not null } wrong)
            throw new UsageException($"The adapter of {wrong.Path} has rank {wrong.Rank} and alpha {wrong.Alpha}; both must be positive.");
        var known = Adaptable(network).Select(static w => w.LayerPath).ToHashSet(StringComparer.Ordinal);
        if (layers.FirstOrDefault(l => !known.Contains(l.Path)) is { Path: not null } missing)
            throw new UsageException($"'{missing.Path}' is not a linear or convolution layer of this network.");
        if (network.All.Any(static p => p.Adapter is not null))
            throw new InvalidOperationException("The network already has adapters; merge or dispose them first.");
        network.RequireGrad(false);
        return new LowRankAdapters(network, layers, start);
    }

    /// <summary>
    /// Disables the adapters until the result is disposed, as for the frozen reference of a preference objective. A backward pass with
    /// recomputation must run before it is disposed.
    /// </summary>
    public Pause Off()
    {
        var before = IsOn;
        IsOn = false;
        return new Pause(this, before);
    }

    /// <summary>Adds s·B·A to the network's weights, in their dtype, and detaches the adapters.</summary>
    /// <param name="strength">Factor of s; 1 for the network's current output.</param>
    public void Merge(double strength = 1)
    {
        using var quiet = Autograd.NoGrad();
        foreach (var (weight, adapter) in _attached)
        {
            using var scope = TensorScope.Enter();
            var wide = weight.Value.To(adapter.Down.Value.DType).Add(adapter.Delta(weight.Shape), strength);
            weight.Value.CopyInPlace(wide);
        }

        Dispose();
    }

    /// <summary>Detaches the adapters from the network and frees them.</summary>
    public void Dispose()
    {
        foreach (var (weight, adapter) in _attached)
        {
            if (ReferenceEquals(weight.Adapter, adapter))
                weight.Adapter = null;
        }

        Parameters.Dispose();
    }

    private static List<Parameter> Adaptable(ParameterStore network) => [.. network.All.Where(static p => p.IsAdaptable)];

    private static bool Fits(Parameter weight, string target) =>
        target switch
        {
            AdapterOptions.All => true,
            AdapterOptions.AllLinear => weight.Shape.Length == 2,
            AdapterOptions.Attention => Array.Exists(AttentionNames, name => Ends(weight.LayerPath, name)),
            _ => Ends(weight.LayerPath, target),
        };

    private static bool Ends(string path, string name) => path == name || path.EndsWith($".{name}", StringComparison.Ordinal);

    private static string LastName(string path)
    {
        var parts = path.Split('.');
        return parts.Length > 1 && int.TryParse(parts[^1], out _) ? $"{parts[^2]}.{parts[^1]}" : parts[^1];
    }

    /// <summary>Restores the previous state when disposed.</summary>
    /// <param name="owner">Adapter set.</param>
    /// <param name="before">State to restore.</param>
    public readonly struct Pause(LowRankAdapters owner, bool before) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose() => owner.IsOn = before;
    }
}
