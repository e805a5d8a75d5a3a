using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>
/// Preference on the error of the network's output ([PIX] eq. 4 and 6), in its own parametrisation: ‖ε̂ − ε‖², ‖v̂ − v‖² and so on.
/// </summary>
/// <param name="options">Validated options.</param>
public sealed class LatentPreferenceObjective(PreferenceOptions options) : ILatentObjective
{
    private readonly PairLoss _loss = new("preference_latent", PreferenceSpace.Latent, options, options.FullBeta);

    /// <inheritdoc/>
    public string Name => "preference_latent";

    /// <inheritdoc/>
    public TermWeight Weight => options.Weight;

    /// <inheritdoc/>
    public Tensor Evaluate(ObjectiveInputs inputs, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(health);
        using var scope = TensorScope.Enter();
        var pairs = PairLoss.PairsOf(inputs);
        var reference =
            _loss.Precomputed(pairs)
            ?? (options.NeedsReference && pairs.Reference is { } r ? Errors(inputs.Formulation.Residual(inputs.Noisy, r.Raw)) : null);
        return scope.Keep(_loss.Evaluate(Errors(inputs.Residual), reference, null, pairs.Count, static active => active, health));
    }

    /// <summary>Per-sample error, [batch].</summary>
    internal Tensor Errors(Tensor residual) =>
        options.Reduction == ErrorReduction.Sum ? residual.Square().Sum([1L, 2, 3]) : residual.Square().Mean([1L, 2, 3]);
}
