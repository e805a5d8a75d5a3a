using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>Reference model that is a frozen copy of the denoiser. Doubles its memory.</summary>
/// <param name="copy">The copy; disposed with this object.</param>
/// <param name="formulation">The diffusion formulation.</param>
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
