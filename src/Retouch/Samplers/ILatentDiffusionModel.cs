using Retouch.Autoencoders;
using Retouch.Denoisers;
using Retouch.Diffusion;

namespace Retouch.Samplers;

/// <summary>A latent diffusion model for sampling: denoiser and autoencoder.</summary>
public interface ILatentDiffusionModel
{
    /// <summary>Autoencoder of the latents.</summary>
    IAutoencoder Autoencoder { get; }

    /// <summary>Denoising network.</summary>
    IDenoiser Denoiser { get; }

    /// <summary>The model's default sampler.</summary>
    SamplerOptions Sampler { get; }

    /// <summary>The denoiser with its formulation; not owned by the result.</summary>
    /// <param name="density">Density of training timesteps; null for uniform.</param>
    DenoiserModel CreateModel(TimestepDensity? density = null);
}
