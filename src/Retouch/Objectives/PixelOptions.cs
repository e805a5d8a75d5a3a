using Retouch.Core.Errors;

namespace Retouch.Objectives;

/// <summary>Latents that the pixel loss decodes.</summary>
public enum PixelEstimate
{
    /// <summary>Remix a_t·z0 + b_t·ε̂, the clean latent with the predicted noise ([PIX] eq. 1–3).</summary>
    Remix,

    /// <summary>x0 prediction ẑ0 ([PIX] eq. 8; blurry according to the paper).</summary>
    X0,
}

/// <summary>Target of the pixel loss.</summary>
public enum PixelTarget
{
    /// <summary>Decoded true latent: z_t for <c>remix</c>, z0 for <c>x0</c>.</summary>
    Decoding,

    /// <summary>Image of the data set.</summary>
    Image,
}

/// <summary>Space of the difference.</summary>
public enum PixelSpace
{
    /// <summary>After decoding.</summary>
    Pixel,

    /// <summary>Control experiment: the same perturbation, b_t(ε̂ − ε), in latent space, without decoder.</summary>
    Latent,
}

/// <summary>
/// Options of the pixel-space loss. A null member takes the default named in its comment; it must be null if it has no effect.
/// </summary>
public sealed record PixelOptions
{
    /// <summary>Default gradient ratio of the weight.</summary>
    public const double DefaultGradientRatio = 0.3;

    /// <summary>λ: a number ([PIX]: 2 for its U-Net, 8 for DiT), a gradient ratio, or a share of the loss. Default: gradient ratio
    /// 0.3.</summary>
    public TermWeight Weight { get; init; } = TermWeight.OfGradientRatio(DefaultGradientRatio);

    /// <summary>Space of the difference: pixel or latent (control experiment).</summary>
    public PixelSpace Space { get; init; } = PixelSpace.Pixel;

    /// <summary>In pixel space: latents to decode, remix or x0. Default remix.</summary>
    public PixelEstimate? Estimate { get; init; }

    /// <summary>In pixel space: target, decoding or image. Default decoding for remix, image for x0.</summary>
    public PixelTarget? Target { get; init; }

    internal void Validate(Requirements check)
    {
        Weight.Validate(check, nameof(Weight));
        check.That(Space != PixelSpace.Latent || Estimate is null, nameof(Estimate), "has no effect in latent space");
        check.That(Space != PixelSpace.Latent || Target is null, nameof(Target), "has no effect in latent space");
    }
}
