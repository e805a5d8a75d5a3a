using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>What decides the features of a picture; part of every score that rests on them.</summary>
/// <param name="Key">Short name, as figures carry it: <c>inception</c>, <c>squeezenet</c>.</param>
/// <param name="Network">The network and the layer.</param>
/// <param name="Width">Numbers a picture.</param>
/// <param name="Preparation">What is done to the pictures before the network, size and filter included.</param>
/// <param name="Weights">Name of the weights' file.</param>
/// <param name="Sha256">SHA-256 of the weights' file, lower-case hexadecimal.</param>
public sealed record FeatureProtocol(string Key, string Network, int Width, string Preparation, string Weights, string Sha256);

/// <summary>A network that turns pictures into features whose distributions are compared.</summary>
public interface IFeatureExtractor : IDisposable
{
    /// <summary>What decides the features.</summary>
    FeatureProtocol Protocol { get; }

    /// <summary>The features of pictures.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1], on the extractor's device.</param>
    /// <returns>[batch, width], float32.</returns>
    Tensor Extract(Tensor images);
}
