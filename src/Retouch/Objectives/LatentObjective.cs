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
        return scope.Keep(inputs.Imitated(Errors(inputs, _weighting)).Mean());
    }

    /// <summary>Weighted mean squared error of each sample, [batch], in the current scope.</summary>
    internal static Tensor Errors(ObjectiveInputs inputs, LossWeighting weighting)
    {
        var errors = inputs.Mask?.MeanOf(inputs.Residual.Square()) ?? inputs.Residual.Square().Mean([1L, 2, 3]);
        if (weighting.Kind != LossWeightingKind.Uniform)
            errors *= inputs.Formulation.LossWeights(inputs.Noisy.Level, weighting).To(errors.DType);
        return errors;
    }
}
