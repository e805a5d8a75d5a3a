using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Latents with noise added, and what they were made of.</summary>
/// <param name="Value">z_t [batch, channels, height, width], float32.</param>
/// <param name="Clean">z0.</param>
/// <param name="Noise">ε, of z0's shape.</param>
/// <param name="Level">t of each sample.</param>
public sealed record NoisedLatent(Tensor Value, Latent Clean, Tensor Noise, NoiseLevel Level);

/// <summary>The output of a network in its own parametrisation; only a <see cref="Formulation"/> reads it.</summary>
/// <param name="Value">[batch, channels, height, width].</param>
public sealed record Prediction(Tensor Value);

/// <summary>
/// The output of a denoiser at a noisy latent, read as estimates of the clean latent and of the noise, whatever the parametrisation.
/// float32; float64 predictions stay float64.
/// </summary>
/// <param name="Z0">ẑ0, the x0 prediction.</param>
/// <param name="Noise">ε̂.</param>
/// <param name="Raw">The output itself, in the network's own parametrisation and type.</param>
public sealed record Denoised(Latent Z0, Tensor Noise, Prediction Raw);
