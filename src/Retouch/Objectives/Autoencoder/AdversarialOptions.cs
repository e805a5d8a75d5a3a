using Retouch.Core.Errors;

namespace Retouch.Objectives.Autoencoder;

/// <summary>Adversarial term of an autoencoder's training, with a discriminator that is trained beside it.</summary>
public sealed record AdversarialOptions
{
    /// <summary>
    /// Gradient of the term at the decoder's last layer, relative to that of the terms without it; above 0. Esser et al. (2021, eq. 7).
    /// </summary>
    [Bounds(Above = 0)]
    public double Weight { get; init; } = 0.5;

    /// <summary>Steps without the term and without training of the discriminator, at least 0.</summary>
    [Bounds(AtLeast = 0)]
    public long Start { get; init; }

    /// <summary>Channels of the discriminator's first layer, a multiple of 8 up to 512.</summary>
    [Bounds(AtLeast = 8, AtMost = 512)]
    public int Channels { get; init; } = 64;

    /// <summary>
    /// Layers of the discriminator with stride 2, from 1 to 5: a logit sees 16, 34, 70, 142 or 286 pixels. Pictures have at least 3 ·
    /// 2^layers pixels a side.
    /// </summary>
    [Bounds(AtLeast = 1, AtMost = 5)]
    public int Layers { get; init; } = 3;

    /// <summary>Learning rate of the discriminator, constant, in (0, 10).</summary>
    [Bounds(Above = 0, Below = 10)]
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>Smallest side of a picture in pixels.</summary>
    internal int SmallestSide => Discriminator.Smallest(Layers);

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(Channels % 8 == 0, nameof(Channels), "must be a multiple of 8");
    }
}
