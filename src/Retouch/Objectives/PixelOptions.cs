using System.ComponentModel;

namespace Retouch.Objectives;

/// <summary>Which latents the pixel loss decodes.</summary>
public enum PixelEstimate
{
    /// <summary>a_t·z0 + b_t·ε̂, the noisy latent with the network's noise in it ([PIX] eq. 1–3).</summary>
    Remix,

    /// <summary>ẑ0 ([PIX] eq. 8, which the paper finds blurry).</summary>
    X0,
}

/// <summary>With what the decoded estimate is compared.</summary>
public enum PixelTarget
{
    /// <summary>The decoding of the true latent: of z_t for <c>remix</c>, of z0 for <c>x0</c>.</summary>
    Decoding,

    /// <summary>The image of the data set.</summary>
    Image,
}

/// <summary>Where the difference is taken.</summary>
public enum PixelSpace
{
    /// <summary>Behind the decoder.</summary>
    Pixel,

    /// <summary>The control: the same perturbation, b_t(ε̂ − ε), measured in latent space, without a decoder.</summary>
    Latent,
}

/// <summary>Options of the pixel-space loss. A member that is null takes the default named in its comment; it must be null where it would
/// do nothing.</summary>
public sealed record PixelOptions
{
    /// <summary>λ: a number ([PIX]: 2 for its U-Net, 8 for DiT), a gradient ratio, or a share of the loss. Default: gradient ratio
    /// 0.3.</summary>
    [Description("λ: a number ([PIX]: 2 for its U-Net, 8 for DiT), a gradient ratio, or a share of the loss. Default: gradient ratio 0.3.")]
    public TermWeight Weight { get; init; } = TermWeight.OfGradientRatio(LatentPerceptual.LatentPerceptualOptions.DefaultGradientRatio);

    /// <summary>Where the difference is taken.</summary>
    [Description("Where the difference is taken.")]
    public PixelSpace Space { get; init; } = PixelSpace.Pixel;

    /// <summary>In pixel space: which latents are decoded. Default remix.</summary>
    [Description("In pixel space: which latents are decoded. Default remix.")]
    public PixelEstimate? Estimate { get; init; }

    /// <summary>In pixel space: with what they are compared. Default decoding for remix, image for x0.</summary>
    [Description("In pixel space: with what they are compared. Default decoding for remix, image for x0.")]
    public PixelTarget? Target { get; init; }

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="path">Where the options stand, as <c>objectives.pixel</c>.</param>
    public IReadOnlyList<string> Validate(string path)
    {
        var problems = new Problems(path);
        Weight.Check(problems, "weight");
        problems.When(Space == PixelSpace.Latent && Estimate is not null, "estimate", "does nothing in latent space");
        problems.When(Space == PixelSpace.Latent && Target is not null, "target", "does nothing in latent space");
        return problems.List;
    }
}
