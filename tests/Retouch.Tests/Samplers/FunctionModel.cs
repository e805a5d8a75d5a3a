using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>A denoiser defined by a formula.</summary>
/// <param name="formulation">Formulation of its output.</param>
/// <param name="predict">Maps z_t and its level to the output.</param>
internal sealed class FunctionModel(Formulation formulation, Func<Tensor, NoiseLevel, Tensor> predict) : IDenoisedModel
{
    public Formulation Formulation => formulation;

    public Denoised At(Tensor noisy, NoiseLevel level, Condition condition) =>
        formulation.Read(noisy, level, new Prediction(predict(noisy, level)));
}
