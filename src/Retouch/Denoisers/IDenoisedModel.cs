using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Denoisers;

/// <summary>
/// The contract between a denoiser and everything that uses one (training, sampling, studies): noisy latent, noise level and condition in,
/// <see cref="Denoised"/> out. A wrapper of it, such as guidance, is one again (as in k-diffusion's <c>external.py</c>).
/// </summary>
public interface IDenoisedModel
{
    /// <summary>How the output is read, and which noise levels there are.</summary>
    Formulation Formulation { get; }

    /// <summary>Denoises. Differentiable where recording is on.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width], float32.</param>
    /// <param name="level">One a sample.</param>
    /// <param name="condition">Of the same batch, or without one.</param>
    Denoised At(Tensor noisy, NoiseLevel level, Condition condition);
}
