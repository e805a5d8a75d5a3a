using Retouch.Core.Errors;
using Retouch.Perception;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// The 2048 features of FID and KID. The user provides the weights: those of pytorch-fid, ported from the original network.
/// </summary>
public sealed class InceptionFeatures : IFeatureExtractor
{
    /// <summary>Side of the network's input in pixels.</summary>
    public const int Side = 299;

    private const int AtATime = 16;
    private const string Network = "Inception-v3 in pytorch-fid's layout";

    private readonly ParameterStore _store = new();
    private readonly InceptionV3 _network;

    private InceptionFeatures(string weights, string hash)
    {
        _network = new InceptionV3(_store.Root);
        Protocol = new(
            "inception",
            "Inception-v3, FID variant, last average pool",
            InceptionV3.Width,
            $"bilinear to {Side} x {Side} (half-pixel centres, no antialias), [-1, 1]",
            weights,
            hash
        );
    }

    /// <inheritdoc/>
    public FeatureProtocol Protocol { get; }

    internal ParameterStore Parameters => _store;

    /// <summary>Opens the network.</summary>
    /// <param name="file">Weights with pytorch-fid's keys; its classifier (<c>fc</c>) is ignored.</param>
    /// <param name="device">Device of the network.</param>
    /// <exception cref="InputException">The file cannot be read or contains another network, such as torchvision's classifier.</exception>
    public static InceptionFeatures Open(string file, Device device)
    {
        var features = new InceptionFeatures(Path.GetFileName(file), FeatureWeights.Hash(file));
        try
        {
            FeatureWeights.Load(
                features._store,
                file,
                Network,
                static name => name is "fc.weight" or "fc.bias" || name.EndsWith(".num_batches_tracked", StringComparison.Ordinal),
                device
            );
            return features;
        }
        catch
        {
            features.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public Tensor Extract(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        List<Tensor> parts = [];
        foreach (var part in images.Split(AtATime))
        {
            using var inner = TensorScope.Enter();
            parts.Add(inner.Keep(_network.Forward(Resized(part))));
        }

        return scope.Keep(Ops.Cat([.. parts], 0));
    }

    /// <inheritdoc/>
    public void Dispose() => _store.Dispose();

    private Tensor Resized(Tensor images) =>
        ((_store.Root / "resized").Observe(images.To(DType.Float32).UpsampleBilinear2d([Side, Side], false)) * 2) - 1;
}
