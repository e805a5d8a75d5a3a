using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>Health metrics of a batch of pairs that belong to no single term.</summary>
internal static class PairHealth
{
    /// <summary>Logs the drift from the reference model: mean squared difference of the two predictions on pairs.</summary>
    public static void Watch(HealthLog health, ObjectiveInputs inputs)
    {
        if (inputs.Pairs is not { Reference: { } reference } pairs)
            return;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        // Both residuals have the same target.
        var drift = (inputs.Residual.Detach() - inputs.Formulation.Residual(inputs.Noisy, reference.Raw))
            .Narrow(0, 0, 2 * pairs.Count)
            .Square();
        health.Ratio("preference/drift", drift.Sum(), Ops.FullLike(drift.Sum(), drift.Count));
        health.Hold();
    }
}
