using Retouch.Core.Errors;
using Retouch.Perception;
using Retouch.Torch;

namespace Retouch.Objectives.Autoencoder;

/// <summary>Perceptual term of an autoencoder's training, on a network that the user provides.</summary>
public sealed record PerceptualOptions
{
    /// <summary>Weight, above 0.</summary>
    [Bounds(Above = 0)]
    public double Weight { get; init; } = 1;

    /// <summary>Folder of a feature network trained by 'retouch features'; instead of trunk and linear.</summary>
    public string? Features { get; init; }

    /// <summary>For LPIPS: weights of torchvision's AlexNet, VGG-16 or SqueezeNet 1.1.</summary>
    public string? Trunk { get; init; }

    /// <summary>For LPIPS: linear weights of the lpips package for the same network.</summary>
    public string? Linear { get; init; }

    /// <summary>Opens the network.</summary>
    /// <param name="device">Device of the network.</param>
    /// <exception cref="InputException">A file is missing, or has other contents.</exception>
    internal IPerceptualDistance Open(Device device) =>
        Features is not null ? FeatureDistance.Open(Features, device) : PerceptualSimilarity.Open(Trunk!, Linear!, device);

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(
            (Features is not null && Trunk is null && Linear is null) || (Features is null && Trunk is not null && Linear is not null),
            nameof(Features),
            "or both trunk and linear must name a network"
        );
    }
}
