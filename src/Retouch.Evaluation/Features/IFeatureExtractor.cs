using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>Settings that determine the features of a picture; part of the protocol.</summary>
/// <param name="Key">Short name, the suffix of figures: <c>inception</c>, <c>squeezenet</c>.</param>
/// <param name="Network">Network and layer.</param>
/// <param name="Width">Width of the features.</param>
/// <param name="Preparation">Preprocessing of the pictures, with size and filter.</param>
/// <param name="Weights">File name of the weights.</param>
/// <param name="Sha256">SHA-256 of the weights' file, lower-case hexadecimal.</param>
public sealed record FeatureProtocol(string Key, string Network, int Width, string Preparation, string Weights, string Sha256);

/// <summary>Feature network.</summary>
public interface IFeatureExtractor : IDisposable
{
    /// <summary>Settings that determine the features.</summary>
    FeatureProtocol Protocol { get; }

    /// <summary>Extracts features.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1], on the extractor's device.</param>
    /// <returns>[batch, width], float32.</returns>
    Tensor Extract(Tensor images);
}
