using Retouch.Autoencoders;
using Retouch.Denoisers;
using Retouch.Diffusion;

namespace Retouch.Samplers;

/// <summary>What pictures are drawn from: a denoiser of latents and the autoencoder that decodes them.</summary>
public interface ILatentDiffusionModel
{
    /// <summary>Decodes latents.</summary>
    IAutoencoder Autoencoder { get; }

    /// <summary>The network.</summary>
    IDenoiser Denoiser { get; }

    /// <summary>The model's own way of being sampled.</summary>
    SamplerOptions Sampler { get; }

    /// <summary>The network with its formulation; owns nothing.</summary>
    /// <param name="density">Where training looks; uniform where null.</param>
    DenoiserModel CreateModel(TimestepDensity? density = null);
}
