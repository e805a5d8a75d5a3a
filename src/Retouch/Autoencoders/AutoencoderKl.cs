using Retouch.Core.Errors;

namespace Retouch.Autoencoders;

/// <summary>
/// The KL autoencoder of latent diffusion (Rombach et al. 2022, section 3.1), equal to diffusers' AutoencoderKL: any number of levels,
/// optional mid-block attention and optional 1×1 convolutions before and after the latents. It computes in the dtype of its weights;
/// posteriors, latents and images are float32.
/// </summary>
public sealed class AutoencoderKl : KlAutoencoder
{
    /// <summary>Builds the network. Tensors are allocated when <see cref="KlAutoencoder.Parameters"/> is initialised or
    /// loaded.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public AutoencoderKl(AutoencoderKlConfig config)
        : base(Checked(config), config, masked: false) => Config = config;

    /// <summary>Network configuration.</summary>
    public AutoencoderKlConfig Config { get; private set; }

    private protected override AutoencoderKlConfig Scaling => Config;

    /// <inheritdoc/>
    public override void SetScalingFactor(double factor)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(factor);
        Config = Config with { ScalingFactor = factor };
    }

    private static AutoencoderKlConfig Checked(AutoencoderKlConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        return config;
    }
}
