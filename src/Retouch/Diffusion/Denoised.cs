using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Noisy latents with the clean latents, noise and noise levels they were made from.</summary>
/// <param name="Value">z_t [batch, channels, height, width], float32.</param>
/// <param name="Clean">z0, same shape.</param>
/// <param name="Noise">ε, same shape.</param>
/// <param name="Level">Noise levels, one per sample.</param>
public sealed record NoisedLatent(Tensor Value, Latent Clean, Tensor Noise, NoiseLevel Level);

/// <summary>Raw network output in the network's parametrisation; interpreted only by a <see cref="Formulation"/>.</summary>
/// <param name="Value">[batch, channels, height, width].</param>
public sealed record Prediction(Tensor Value);

/// <summary>
/// Network output at a noisy latent, converted to estimates of the clean latent and of the noise, independent of the
/// parametrisation. float32; float64 predictions stay float64.
/// </summary>
/// <param name="Z0">ẑ0, the x0 prediction, [batch, channels, height, width].</param>
/// <param name="Noise">ε̂, same shape.</param>
/// <param name="Raw">The unconverted output, in the network's parametrisation and dtype.</param>
public sealed record Denoised(Latent Z0, Tensor Noise, Prediction Raw);
