using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Latents with noise added, and what they were made of.</summary>
/// <param name="Value">z_t [batch, channels, height, width], float32.</param>
/// <param name="Clean">z0.</param>
/// <param name="Noise">ε, of z0's shape.</param>
/// <param name="Level">t of each sample.</param>
public sealed record NoisedLatent(Tensor Value, Latent Clean, Tensor Noise, NoiseLevel Level);

/// <summary>What a network put out, in its own parametrisation; only a <see cref="Formulation"/> reads it.</summary>
/// <param name="Value">[batch, channels, height, width].</param>
public sealed record Prediction(Tensor Value);

/// <summary>A prediction read as an estimate of what was mixed, where what was mixed is unknown (sampling). float32.</summary>
/// <param name="Z0">ẑ0.</param>
/// <param name="Noise">ε̂.</param>
public sealed record Estimate(Latent Z0, Tensor Noise);

/// <summary>A prediction read as an estimate of what was mixed, in float32, whatever the parametrisation.</summary>
/// <param name="Z0">ẑ0.</param>
/// <param name="Noise">ε̂.</param>
/// <param name="Residual">Network output minus its target: its mean square is the formulation's own loss.</param>
public sealed record CleanEstimate(Latent Z0, Tensor Noise, Tensor Residual);
