using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>
/// The errors of winners and losers by themselves, without a loss: those of the network before training are what DPO's reference would have
/// had, and can be given to
/// <see cref="PairedSamples.ReferenceErrors"/> later on. They are computed as a reference's are in a step.
/// </summary>
internal sealed class PairErrors
{
    private readonly LatentPreferenceObjective? _latent;
    private readonly DecodedPreferenceObjective? _decoded;
    private readonly PreferenceSpace _space;
    private readonly DecodePlan? _plan;

    /// <param name="options">Validated options.</param>
    /// <param name="autoencoder">Whose decoder is used, where errors are behind it.</param>
    /// <param name="decodeBatch">Samples decoded at a time; 0 for all.</param>
    /// <param name="resolution">Training size over the model's own.</param>
    public PairErrors(PreferenceOptions options, IAutoencoder autoencoder, int decodeBatch, double resolution = 1)
    {
        // Of simpo nothing asks for a reference, which is what this stands in for.
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

    /// <summary>The spaces whose errors <see cref="Of"/> gives.</summary>
    /// <param name="space">Where the preference measures.</param>
    public static IReadOnlyList<PreferenceSpace> SpacesOf(PreferenceSpace space) =>
        space == PreferenceSpace.Both ? [PreferenceSpace.Latent, PreferenceSpace.Pixel] : [space];

    /// <summary>For each space a tensor [2 · pairs], winners first, in the open scope. A pair that takes no part in a term has 0
    /// there.</summary>
    /// <param name="inputs">A step's, with pairs.</param>
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
