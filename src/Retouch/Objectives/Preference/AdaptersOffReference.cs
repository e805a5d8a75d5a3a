using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Objectives.Preference;

/// <summary>The network itself with its adapters switched off: where only adapters are trained, the reference costs no memory.</summary>
/// <param name="denoiser">What is trained; stays the caller's.</param>
/// <param name="adapters">Its adapters; stay the caller's.</param>
public sealed class AdaptersOffReference(IDenoiser denoiser, LowRankAdapters adapters) : IReferencePredictor
{
    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        using var off = adapters.Off();
        return denoiser.Predict(noisy, time, condition);
    }

    /// <inheritdoc/>
    public void Dispose() { }
}
