using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// The 512 features of SqueezeNet 1.0: the mean over space of its last fire module. Small enough for a laptop. A Fréchet distance on them
/// is no FID and is never called so. The weights are the user's.
/// </summary>
public sealed class SqueezeNetFeatures : IFeatureExtractor
{
    private const int Smallest = 48;

    // The training set's means of blue, green and red, in levels.
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
    /// <param name="file">The weights.</param>
    /// <param name="device">Where it runs.</param>
    /// <exception cref="InputException">The file cannot be read or holds another network.</exception>
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

    /// <summary>The ImageNet classes' logits [batch, 1000].</summary>
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
                $"SqueezeNet takes pictures of {Smallest} x {Smallest} pixels or more, not {images.Shape[^1]} x "
                    + $"{images.Shape[^2]}. Have them resized (--size)."
            );
        return (images.To(DType.Float32).Flip([1L]) * 255) - _means;
    }
}
