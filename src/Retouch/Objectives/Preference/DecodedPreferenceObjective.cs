using Retouch.Autoencoders;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Objectives.Preference;

/// <summary>
/// Preference on errors after decoding ([PIX] eq. 5 and 7) or on decoder features: another objective's per-sample error, for winners,
/// losers and the reference model, against the same decoded targets.
/// </summary>
public sealed class DecodedPreferenceObjective : IDecodedObjective
{
    private readonly IDecodedObjective _error;
    private readonly PreferenceOptions _options;
    private readonly PairLoss _loss;

    private DecodedPreferenceObjective(
        IDecodedObjective error,
        PreferenceSpace space,
        PreferenceOptions options,
        TermWeight weight,
        double beta
    )
    {
        _error = error;
        _options = options;
        _loss = new PairLoss(error.Name, space, options, beta);
        Weight = weight;
    }

    /// <inheritdoc/>
    public string Name => _error.Name;

    /// <inheritdoc/>
    public TermWeight Weight { get; }

    /// <inheritdoc/>
    public SampleRole Role => SampleRole.Paired;

    /// <summary>Preference on decoded images.</summary>
    /// <param name="options">Validated options with space pixel or both.</param>
    public static DecodedPreferenceObjective Pixels(PreferenceOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var both = options.Space == PreferenceSpace.Both;
        var error = new PixelObjective(new PixelOptions { Estimate = options.Estimate, Target = options.Target }, "preference_pixel");
        return new(
            error,
            PreferenceSpace.Pixel,
            options,
            both ? options.PixelWeight ?? 1.0 : options.Weight,
            both ? options.FullPixelBeta : options.FullBeta
        );
    }

    /// <summary>Preference on decoder features.</summary>
    /// <param name="options">Validated options with space features.</param>
    /// <param name="autoencoder">Provides the decoder features.</param>
    /// <param name="resolution">Training size over the model's native size.</param>
    public static DecodedPreferenceObjective Features(PreferenceOptions options, IAutoencoder autoencoder, double resolution = 1)
    {
        ArgumentNullException.ThrowIfNull(options);
        var error = new LatentPerceptualObjective(
            (options.Features ?? new()).OfWholeEstimate(),
            autoencoder,
            "preference_features",
            resolution,
            "objective.preference.features"
        );
        return new(error, PreferenceSpace.Features, options, options.Weight, options.FullBeta);
    }

    /// <inheritdoc/>
    public DecodeNeed Need(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return _error.Need(inputs) with { Reference = _options.NeedsReference && _loss.Precomputed(PairLoss.PairsOf(inputs)) is null };
    }

    /// <inheritdoc/>
    public Tensor PerSample(DecodedSamples decoded, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(decoded);
        var errors = _error.PerSample(decoded, health);
        if (_options.Reduction != ErrorReduction.Sum)
            return errors;
        var image = decoded.Estimate.Rgb!;
        // Of the whole picture, of which a window is a part.
        return errors * (image.Count / image.Shape[0] / (decoded.Windows?.Share ?? 1));
    }

    /// <inheritdoc/>
    public double Divisor(ObjectiveInputs inputs, SampleRole role, int active) => _error.Divisor(inputs, role, active);

    /// <inheritdoc/>
    public Tensor Reduce(ObjectiveInputs inputs, SampleLosses losses, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(losses);
        var pairs = PairLoss.PairsOf(inputs);
        return _loss.Evaluate(
            losses.Values,
            _loss.Precomputed(pairs) ?? losses.Reference,
            losses.Active,
            pairs.Count,
            active => Divisor(inputs, SampleRole.Paired, active),
            health
        );
    }
}
