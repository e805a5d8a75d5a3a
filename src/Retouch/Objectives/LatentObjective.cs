using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>The diffusion loss: mean squared error between network output and target, with a weight per noise level.</summary>
/// <param name="weight">Weight in the total loss.</param>
/// <param name="weighting">Loss weighting over noise levels; null for uniform.</param>
public sealed class LatentObjective(double weight = 1, LossWeighting? weighting = null) : ILatentObjective
{
    private readonly LossWeighting _weighting = weighting ?? LossWeighting.Uniform;

    /// <inheritdoc/>
    public string Name => "latent";

    /// <inheritdoc/>
    public TermWeight Weight => weight;

    /// <inheritdoc/>
    public Tensor Evaluate(ObjectiveInputs inputs, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        using var scope = TensorScope.Enter();
        var errors = inputs.Mask?.MeanOf(inputs.Residual.Square()) ?? inputs.Residual.Square().Mean([1L, 2, 3]);
        if (_weighting.Kind != LossWeightingKind.Uniform)
            errors *= inputs.Formulation.LossWeights(inputs.Noisy.Level, _weighting).To(errors.DType);
        return scope.Keep(inputs.Imitated(errors).Mean());
    }
}
