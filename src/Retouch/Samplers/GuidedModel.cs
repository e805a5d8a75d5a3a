using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>
/// A denoiser with classifier-free guidance: one pass over both conditions with twice the batch, then the combined output.
/// </summary>
/// <param name="model">The denoiser.</param>
/// <param name="guidance">Guidance scale, rescaling and interval.</param>
/// <param name="unconditional">Unconditional (or negative) condition, of the conditions' batch size.</param>
public sealed class GuidedModel(IDenoisedModel model, Guidance guidance, Condition unconditional) : IDenoisedModel
{
    /// <inheritdoc/>
    public Formulation Formulation => model.Formulation;

    /// <inheritdoc/>
    public Denoised At(Tensor noisy, NoiseLevel level, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(level);
        ArgumentNullException.ThrowIfNull(condition);
        if (!guidance.AppliesAt(level))
            return model.At(noisy, level, condition);
        using var scope = TensorScope.Enter();
        var both = model.At(Ops.Cat([noisy, noisy]), level.Concat(level), condition.Concat(unconditional)).Raw.Value;
        var outputs = both.To(DType.Float32).Chunk(2);
        var guided = Formulation.Read(noisy, level, new Prediction(guidance.Combine(outputs[0], outputs[1])));
        return new Denoised(new(scope.Keep(guided.Z0.Value)), scope.Keep(guided.Noise), new Prediction(scope.Keep(guided.Raw.Value)));
    }
}
