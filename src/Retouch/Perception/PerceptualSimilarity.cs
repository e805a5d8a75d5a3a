using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Perception;

/// <summary>Settings of LPIPS.</summary>
/// <param name="Network">Backbone.</param>
/// <param name="Trunk">File name of its weights.</param>
/// <param name="TrunkSha256">SHA-256 of that file.</param>
/// <param name="Linear">File name of the linear weights.</param>
/// <param name="LinearSha256">SHA-256 of that file.</param>
public sealed record PerceptualProtocol(string Network, string Trunk, string TrunkSha256, string Linear, string LinearSha256);

/// <summary>
/// Learned perceptual image patch similarity (Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features as
/// a Perceptual Metric", 2018, eq. 1): squared differences of channel-normalised features, weighted by channel, averaged over positions and
/// summed over stages. The user provides the weights: the trunk's with torchvision's keys, the linear ones with those of the lpips package
/// (<c>lin0.model.1.weight</c>).
/// </summary>
public sealed class PerceptualSimilarity : IPerceptualDistance
{
    // The lpips package's normalisation of inputs in [-1, 1].
    private static readonly float[] Shift = [-0.030f, -0.088f, -0.188f];
    private static readonly float[] Scale = [0.458f, 0.448f, 0.450f];

    private readonly ParameterStore _store = new();
    private readonly ParameterStore _linear = new();
    private readonly PerceptualTrunk _trunk;
    private readonly Parameter[] _weights;
    private readonly Tensor _shift;
    private readonly Tensor _scale;

    private PerceptualSimilarity(string trunkFile, string linearFile, int[] channels, Device device)
    {
        _trunk =
            PerceptualTrunk.For(channels, _store.Root)
            ?? throw new InputException(
                $"'{linearFile}' has stages of {string.Join(", ", channels)} channels; supported are AlexNet, VGG-16 and "
                    + $"SqueezeNet 1.1. Give the linear weights of one of these."
            );
        _weights = [.. channels.Select((c, k) => (_linear.Root / $"lin{k}" / "model" / 1).Parameter("weight", [1, c, 1, 1], Inits.Ones))];
        Protocol = new(
            _trunk.Name,
            Path.GetFileName(trunkFile),
            FeatureWeights.Hash(trunkFile),
            Path.GetFileName(linearFile),
            FeatureWeights.Hash(linearFile)
        );
        using var scope = TensorScope.Enter();
        _shift = Tensor.From(Shift, 1, 3, 1, 1).To(device).Escape();
        _scale = Tensor.From(Scale, 1, 3, 1, 1).To(device).Escape();
    }

    /// <summary>Settings that determine the distance.</summary>
    public PerceptualProtocol Protocol { get; }

    /// <summary>Opens the network.</summary>
    /// <param name="trunkFile">Weights of the classifier; its classification layers are ignored.</param>
    /// <param name="linearFile">Linear weights; their shapes identify the classifier.</param>
    /// <param name="device">Device of the network.</param>
    /// <exception cref="InputException">A file cannot be read or has other contents.</exception>
    public static PerceptualSimilarity Open(string trunkFile, string linearFile, Device device)
    {
        var result = new PerceptualSimilarity(trunkFile, linearFile, FeatureWeights.Channels(linearFile), device);
        try
        {
            FeatureWeights.Load(result._linear, linearFile, "LPIPS's linear layers", static _ => false, device);
            FeatureWeights.Load(
                result._store,
                trunkFile,
                result._trunk.Name,
                static name => name.StartsWith("classifier.", StringComparison.Ordinal),
                device
            );
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Description => $"LPIPS on {Protocol.Network}";

    /// <summary>Distance of each pair, 0 for equal pictures.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1], on the network's device.</param>
    /// <param name="reference">The same shape.</param>
    /// <returns>[batch].</returns>
    /// <exception cref="UsageException">The pictures are smaller than the network's smallest input.</exception>
    public double[] Of(Tensor images, Tensor reference)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return Distances(images, reference).ToArray<double>();
    }

    /// <inheritdoc/>
    public Tensor Distances(Tensor images, Tensor reference)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        const int Smallest = 32;
        if (images.Shape is not [_, 3, >= Smallest, >= Smallest])
            throw new UsageException(
                $"LPIPS requires pictures of at least {Smallest} x {Smallest} pixels. Use a larger --size, or omit it."
            );
        using var scope = TensorScope.Enter();
        var (x, y) = (_trunk.Forward(Prepared(images)), _trunk.Forward(Prepared(reference)));
        return scope.Keep(StageDistance.Of(x, y, Array.ConvertAll(_weights, static w => w.Value)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _store.Dispose();
        _linear.Dispose();
        _shift.Dispose();
        _scale.Dispose();
    }

    private Tensor Prepared(Tensor images) => ((images.To(DType.Float32) * 2) - 1 - _shift) / _scale;
}
