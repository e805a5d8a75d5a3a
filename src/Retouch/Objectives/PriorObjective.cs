using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// Prior preservation (Ruiz et al. 2023, <em>DreamBooth</em>, eq. 2): the diffusion loss of the batch's prior samples, pictures of what the
/// model already knows.
/// </summary>
/// <param name="weight">Weight in the total loss.</param>
/// <param name="weighting">Loss weighting over noise levels.</param>
public sealed class PriorObjective(double weight, LossWeighting weighting) : ILatentObjective
{
    /// <inheritdoc/>
    public string Name => "prior";

    /// <inheritdoc/>
    public TermWeight Weight => weight;

    /// <inheritdoc/>
    public Tensor Evaluate(ObjectiveInputs inputs, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        using var scope = TensorScope.Enter();
        var errors = LatentObjective.Errors(inputs, weighting).Narrow(0, inputs.Batch - inputs.Prior, inputs.Prior);
        // Batches of held-out samples have no prior samples, whose mean is undefined.
        return scope.Keep(inputs.Prior == 0 ? errors.Sum() : errors.Mean());
    }
}
