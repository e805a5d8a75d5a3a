using Retouch.Core.Errors;
using Retouch.Perception;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// The 512 features of SqueezeNet 1.0: the spatial mean of its last fire module. Fast on a CPU. A Fréchet distance on these features is
/// named <c>fd.squeezenet</c>, never FID. The user provides the weights.
/// </summary>
public sealed class SqueezeNetFeatures : IFeatureExtractor
{
    private const int Smallest = 48;

    // Means of the training set in levels: blue, green, red.
    private static readonly float[] Means = [104, 117, 123];

    private readonly ParameterStore _store = new();
    private readonly SqueezeNet _network;
    private readonly Tensor _means;

    private SqueezeNetFeatures(string weights, string hash, Device device)
    {
        _network = new SqueezeNet(_store.Root);
        using var scope = TensorScope.Enter();
        _means = Tensor.From(Means, 1, 3, 1, 1).To(device).Escape();
        Protocol = new(
            "squeezenet",
            "SqueezeNet 1.0, mean of fire9",
            SqueezeNet.Width,
            "size as it is, BGR levels less (104, 117, 123)",
            weights,
            hash
        );
    }

    /// <inheritdoc/>
    public FeatureProtocol Protocol { get; }

    /// <summary>Opens the network.</summary>
    /// <param name="file">Weights.</param>
    /// <param name="device">Device of the network.</param>
    /// <exception cref="InputException">The file cannot be read or contains another network.</exception>
    public static SqueezeNetFeatures Open(string file, Device device)
    {
        var features = new SqueezeNetFeatures(Path.GetFileName(file), FeatureWeights.Hash(file), device);
        try
        {
            FeatureWeights.Load(features._store, file, "SqueezeNet 1.0", static _ => false, device);
            return features;
        }
        catch
        {
            features.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="UsageException">The pictures are too small for the network.</exception>
    public Tensor Extract(Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return scope.Keep(_network.Features(Prepared(images)).Mean([2L, 3]));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _means.Dispose();
        _store.Dispose();
    }

    /// <summary>Logits of the ImageNet classes [batch, 1000].</summary>
    internal Tensor Logits(Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return scope.Keep(_network.Logits(_network.Features(Prepared(images))));
    }

    private Tensor Prepared(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        if (images.Shape is not [_, 3, >= Smallest, >= Smallest])
            throw new UsageException(
                $"SqueezeNet requires pictures of at least {Smallest} x {Smallest} pixels, not {images.Shape[^1]} x "
                    + $"{images.Shape[^2]}. Resize them with --size."
            );
        return (images.To(DType.Float32).Flip([1L]) * 255) - _means;
    }
}
