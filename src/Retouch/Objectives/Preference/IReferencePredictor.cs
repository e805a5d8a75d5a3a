using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>
/// The network as it was before training, which DPO compares with: a frozen copy, or the trained one with what training added switched off.
/// </summary>
public interface IReferencePredictor : IDisposable
{
    /// <summary>Predicts what <see cref="IDenoiser.Predict"/> did before training. Called with recording off.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width].</param>
    /// <param name="time">As <see cref="NoiseLevel.Model"/>, [batch].</param>
    /// <param name="condition">What the network is told besides.</param>
    Prediction Predict(Tensor noisy, Tensor time, Condition condition);
}

/// <summary>A copy of the denoiser that is not trained. Costs its memory once more.</summary>
/// <param name="copy">Disposed with this.</param>
public sealed class FrozenReference(IDenoiser copy) : IReferencePredictor
{
    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition) => copy.Predict(noisy, time, condition);

    /// <inheritdoc/>
    public void Dispose() => copy.Dispose();
}
