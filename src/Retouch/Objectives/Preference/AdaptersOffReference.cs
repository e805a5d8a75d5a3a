using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Objectives.Preference;

/// <summary>The denoiser itself with its adapters switched off: where only adapters are trained, the reference costs no memory.</summary>
/// <param name="model">What is trained.</param>
/// <param name="adapters">Its adapters; stay the caller's.</param>
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
