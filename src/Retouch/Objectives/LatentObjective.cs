using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>The diffusion loss itself: the mean square of network output minus target, each sample weighted as the formulation says.</summary>
/// <param name="weight">Its weight in the total.</param>
public sealed class LatentObjective(double weight = 1) : ILatentObjective
{
    /// <inheritdoc/>
    public string Name => "latent";

    /// <inheritdoc/>
    public TermWeight Weight => weight;

    /// <inheritdoc/>
    public Tensor Evaluate(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return PerSample(inputs.Estimate.Residual).Mean();
    }

    /// <summary>Mean square of each sample: [batch].</summary>
    /// <param name="residual">[batch, channels, height, width].</param>
    internal static Tensor PerSample(Tensor residual) => residual.Square().Mean([1L, 2, 3]);
}
