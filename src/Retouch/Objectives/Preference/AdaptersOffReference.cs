using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Objectives.Preference;

/// <summary>Reference model for adapter training: the denoiser with its adapters disabled, without additional memory.</summary>
/// <param name="model">The trained model.</param>
/// <param name="adapters">Its adapters; not disposed here.</param>
public sealed class AdaptersOffReference(IDenoisedModel model, LowRankAdapters adapters) : IReferenceModel
{
    /// <inheritdoc/>
    public Formulation Formulation => model.Formulation;

    /// <inheritdoc/>
    public Denoised At(Tensor noisy, NoiseLevel level, Condition condition)
    {
        using var off = adapters.Off();
        return model.At(noisy, level, condition);
    }

    /// <inheritdoc/>
    public void Dispose() { }
}
