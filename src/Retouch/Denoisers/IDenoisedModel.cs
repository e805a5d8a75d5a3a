using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Denoisers;

/// <summary>
/// A denoiser as used by training, sampling and studies: maps noisy latent, noise level and condition to a <see cref="Denoised"/>.
/// Wrappers such as guidance implement the same interface (as in k-diffusion's <c>external.py</c>).
/// </summary>
public interface IDenoisedModel
{
    /// <summary>Formulation, which defines the valid noise levels.</summary>
    Formulation Formulation { get; }

    /// <summary>Denoises. Differentiable unless gradients are disabled.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width], float32.</param>
    /// <param name="level">Noise levels, one per sample.</param>
    /// <param name="condition">Condition of the same batch size, or without one.</param>
    Denoised At(Tensor noisy, NoiseLevel level, Condition condition);
}
