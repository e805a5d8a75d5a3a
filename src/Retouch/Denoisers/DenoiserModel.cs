using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Denoisers;

/// <summary>A network combined with the formulation of its output.</summary>
/// <param name="network">Denoiser; not disposed by this class.</param>
/// <param name="formulation">Formulation of the network output.</param>
public sealed class DenoiserModel(IDenoiser network, Formulation formulation) : IDenoisedModel
{
    /// <summary>The denoiser network.</summary>
    public IDenoiser Network => network;

    /// <inheritdoc/>
    public Formulation Formulation => formulation;

    /// <inheritdoc/>
    public Denoised At(Tensor noisy, NoiseLevel level, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(level);
        return formulation.Read(noisy, level, network.Predict(noisy, level.Timestep, condition));
    }
}
