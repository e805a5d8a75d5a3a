using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>A copy of the denoiser that is not trained. Costs its memory once more.</summary>
/// <param name="copy">Disposed with this.</param>
/// <param name="formulation">How its output is read.</param>
public sealed class FrozenReference(IDenoiser copy, Formulation formulation) : IReferenceModel
{
    private readonly DenoiserModel _model = new(copy, formulation);

    /// <inheritdoc/>
    public Formulation Formulation => formulation;

    /// <inheritdoc/>
    public Denoised At(Tensor noisy, NoiseLevel level, Condition condition) => _model.At(noisy, level, condition);

    /// <inheritdoc/>
    public void Dispose() => copy.Dispose();
}
