using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>
/// Errors of winners and losers without a loss. Errors of the network before training equal those of DPO's reference model and can be
/// passed to <see cref="PairedSamples.ReferenceErrors"/> later. They are computed as in a training step.
/// </summary>
internal sealed class PairErrors
{
    private readonly LatentPreferenceObjective? _latent;
    private readonly DecodedPreferenceObjective? _decoded;
    private readonly PreferenceSpace _space;
    private readonly DecodePlan? _plan;

    /// <param name="options">Validated options.</param>
    /// <param name="autoencoder">Provides the decoder, for errors after decoding.</param>
    /// <param name="decodeBatch">Samples per decoder call; 0 for all.</param>
    /// <param name="resolution">Training size over the model's native size.</param>
    public PairErrors(PreferenceOptions options, IAutoencoder autoencoder, int decodeBatch, double resolution = 1)
    {
        // SimPO needs no reference model; this computation provides its errors.
        var alone = options with
        {
            Method = PreferenceMethod.Simpo,
        };
        if (options.Space is PreferenceSpace.Latent or PreferenceSpace.Both)
            _latent = new LatentPreferenceObjective(alone);
        if (options.Space == PreferenceSpace.Latent)
            return;
        _space = options.Space == PreferenceSpace.Features ? PreferenceSpace.Features : PreferenceSpace.Pixel;
        _decoded =
            _space == PreferenceSpace.Features
                ? DecodedPreferenceObjective.Features(alone, autoencoder, resolution)
                : DecodedPreferenceObjective.Pixels(alone);
        _plan = new DecodePlan(autoencoder, decodeBatch, checkpoint: false);
    }

    /// <summary>Spaces of the errors that <see cref="Of"/> returns.</summary>
    /// <param name="space">Space of the preference.</param>
    public static IReadOnlyList<PreferenceSpace> SpacesOf(PreferenceSpace space) =>
        space == PreferenceSpace.Both ? [PreferenceSpace.Latent, PreferenceSpace.Pixel] : [space];

    /// <summary>For each space a tensor [2 · pairs], winners first, in the current scope. 0 for inactive pairs.</summary>
    /// <param name="inputs">Inputs of a step with pairs.</param>
    public IReadOnlyDictionary<PreferenceSpace, Tensor> Of(ObjectiveInputs inputs)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var both = 2 * PairLoss.PairsOf(inputs).Count;
        var errors = new Dictionary<PreferenceSpace, Tensor>();
        if (_latent is not null)
            errors[PreferenceSpace.Latent] = scope.Keep(_latent.Errors(inputs.Residual).Narrow(0, 0, both));
        if (_decoded is not null)
            errors[_space] = scope.Keep(_plan!.Run(inputs, [_decoded], new HealthLog(scope))[0].Losses.Values.Narrow(0, 0, both));
        return errors;
    }
}
