using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Denoisers;

/// <summary>A network and the formulation that its output is read by.</summary>
/// <param name="network">Stays the caller's.</param>
/// <param name="formulation">How its output is read.</param>
public sealed class DenoiserModel(IDenoiser network, Formulation formulation) : IDenoisedModel
{
    /// <summary>The network.</summary>
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
