using Retouch.Core.Errors;

namespace Retouch.Autoencoders;

/// <summary>
/// The autoencoder of latent diffusion (Rombach et al. 2022, section 3.1), as diffusers' AutoencoderKL: any number of levels, with or
/// without middle attention and 1×1 convolutions around the latents. It computes in the type of its weights; posteriors, latents and images
/// are float32.
/// </summary>
public sealed class AutoencoderKl : KlAutoencoder
{
    /// <summary>Builds the network. Its tensors have memory once <see cref="KlAutoencoder.Parameters"/> is initialised or loaded.</summary>
    /// <exception cref="InputException">The configuration contradicts itself.</exception>
    public AutoencoderKl(AutoencoderKlConfig config)
        : base(Checked(config), config, masked: false) => Config = config;

    /// <summary>The shape of the network.</summary>
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
