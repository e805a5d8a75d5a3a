using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>
/// The latent perceptual loss (Berrada et al. 2024, <em>Boosting Latent Diffusion with Perceptual Objectives</em>, eq. 2): compares decoder
/// features of z0 and ẑ0, for samples that pass the noise gate.
/// </summary>
public sealed class LatentPerceptualObjective : IDecodedObjective
{
    private readonly LayerPlan _plan;
    private readonly Gate _gate;
    private readonly LatentPerceptualOptions _options;

    /// <param name="options">Validated options.</param>
    /// <param name="autoencoder">Provides the decoder features.</param>
    /// <param name="name">Log name.</param>
    /// <param name="resolution">Training size over the model's native size; default scale of thresholds and windows.</param>
    /// <param name="path">Path of the options in messages.</param>
    /// <exception cref="UsageException">The options do not fit the decoder.</exception>
    public LatentPerceptualObjective(
        LatentPerceptualOptions options,
        IAutoencoder autoencoder,
        string name = "lpl",
        double resolution = 1,
        string path = "objective.perceptual"
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(autoencoder);
        var check = Requirements.OfFile(path);
        options.ValidateFor(autoencoder.Taps, check);
        check.Throw();
        var scale = options.ResolutionScale ?? resolution;
        _plan = new LayerPlan(options, autoencoder, scale);
        _gate = new Gate(options, scale);
        _options = options;
        (Name, Weight) = (name, options.Weight);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public TermWeight Weight { get; }

    /// <inheritdoc/>
    public double Ramp(long step) => _options.Ramp(step);

    /// <inheritdoc/>
    public DecodeNeed Need(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return new DecodeNeed(Active(inputs.Noisy.Level), DecodeSource.Estimate, DecodeSource.Clean, _plan.Taps, _plan.Rgb) { Mix = Mix };
    }

    /// <summary>What the estimate takes from the target before decoding.</summary>
    internal TargetMix Mix => _options.Mix;

    /// <summary>Taps of target and estimate.</summary>
    internal TapRequest Request => new(_plan.Taps, _plan.Rgb);

    /// <summary>Whether each sample passes the gate, [batch].</summary>
    internal bool[] Active(NoiseLevel level) => _gate.Active(level);

    /// <inheritdoc/>
    public double Divisor(ObjectiveInputs inputs, SampleRole role, int active)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (_options.SampleReduction == SampleReduction.Batch)
            return inputs.DivisorOf(role);
        if (inputs.StepLevels is not { Count: > 1 } levels)
            return active;
        // All micro-batches of a step share one divisor, their average, so that their mean equals that of one large batch. A pair counts
        // once.
        bool Counts(int sample) => role == SampleRole.Paired ? sample < inputs.DivisorOf(role) : inputs.Concerns(role, sample);
        return levels.Sum(l => _gate.Active(l).Where((a, i) => a && Counts(i)).Count()) / (double)levels.Count;
    }

    /// <inheritdoc/>
    public Tensor Reduce(ObjectiveInputs inputs, SampleLosses losses, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(losses);
        return Weigh(inputs, losses.Values).Sum() / IDecodedObjective.AtLeast(Divisor(inputs, SampleRole.Imitated, losses.ActiveCount));
    }

    /// <summary>Per-sample losses [batch], weighted by noise level.</summary>
    private Tensor Weigh(ObjectiveInputs inputs, Tensor losses)
    {
        using var quiet = TensorScope.Enter();
        Tensor weights;
        switch (_options.NoiseWeighting)
        {
            case NoiseWeighting.MinSnr:
                weights = inputs.Formulation.LossWeights(inputs.Noisy.Level, LossWeighting.MinSnr(_options.MinSnrGamma ?? 5));
                break;
            case NoiseWeighting.InverseVariance:
                weights = inputs.Noisy.Level.Snr();
                break;
            default:
                return losses;
        }

        return quiet.Keep(losses * weights.To(losses.DType));
    }

    /// <inheritdoc/>
    public Tensor PerSample(DecodedSamples decoded, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(decoded);
        ArgumentNullException.ThrowIfNull(health);
        var layers = PerLayer(decoded, health);
        var total = layers[0];
        for (var l = 1; l < layers.Length; l++)
            total += layers[l];
        using var quiet = Autograd.NoGrad();
        for (var l = 0; l < layers.Length; l++)
            health.Ratio($"{Name}/share/{_plan.Layers[l].Name}", layers[l].Sum(), total.Sum());
        health.Total($"{Name}/nonfinite", total.Isfinite().LogicalNot().Sum());
        return total;
    }

    /// <summary>Names of the compared layers, in order: taps, then the image if enabled.</summary>
    public IReadOnlyList<string> LayerNames => [.. _plan.Layers.Select(static l => l.Name)];

    /// <summary>ω_l times the mean over channels and pixels, one tensor [samples] per layer of <see cref="LayerNames"/>.</summary>
    /// <param name="decoded">Target and estimate, decoded according to <see cref="Need"/>.</param>
    /// <param name="health">Receives the layers' health metrics.</param>
    public Tensor[] PerLayer(DecodedSamples decoded, HealthLog health)
    {
        var losses = new Tensor[_plan.Layers.Count];
        for (var l = 0; l < losses.Length; l++)
        {
            var layer = _plan.Layers[l];
            var image = l == _plan.Taps.Length;
            var target = image ? decoded.Target!.Rgb! : decoded.Target!.Features[l];
            var estimate = image ? decoded.Estimate.Rgb! : decoded.Estimate.Features[l];
            var (terms, values) = Compare(target, estimate, layer.Features, decoded.Mask);
            losses[l] = layer.Weight * values.Mean([1L]);
            Watch(health, layer.Name, terms, values, target.Count);
        }

        return losses;
    }

    /// <summary>Compares the maps of one layer.</summary>
    /// <param name="target">Target features [batch, channels, height, width].</param>
    /// <param name="estimate">Estimated features, of the same shape.</param>
    /// <param name="settings">Comparison settings.</param>
    /// <param name="mask">Weights of the pixels; null if all are 1.</param>
    /// <returns>The terms, and the maps' losses [batch, channels] with floor, without constant maps.</returns>
    internal static (FeatureTerms Terms, Tensor Values) Compare(
        Tensor target,
        Tensor estimate,
        FeatureSettings settings,
        LossMask? mask = null
    )
    {
        bool Fuses() => mask is null && target.DType == estimate.DType && FusedFeatureLoss.Supports(target, settings);
        if (!Fuses())
            (target, estimate) = (Widen(target), Widen(estimate));
        var terms = Fuses() ? FusedFeatureLoss.Compare(target, estimate, settings) : FeatureLoss.Compare(target, estimate, settings, mask);
        var values =
            settings.Normalisation == Normalisation.Standardise
                ? terms.Loss * MapWeights(terms.TargetVariance, settings).To(terms.Loss.DType)
                : terms.Loss;
        return (terms, values);
    }

    /// <summary>Statistics are computed in float32 or float64, whatever the decoder's precision.</summary>
    private static Tensor Widen(Tensor x) => x.DType == DType.Float64 ? x : x.To(DType.Float32);

    /// <summary>
    /// Factors on the maps' losses [batch, channels]. 0 for constant target maps, with a variance below a millionth of the layer's mean:
    /// they have no variance to normalise by. Otherwise 1, or, with a floor f of the layer's mean variance, v/(v + f·mean), which
    /// replaces the divisor v of a squared difference by v + f·mean (and correspondingly for absolute differences).
    /// </summary>
    private static Tensor MapWeights(Tensor targetVariance, FeatureSettings settings)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var mean = targetVariance.Mean([1L], keepdim: true);
        var weights = targetVariance.Gt(mean * 1e-6).To(targetVariance.DType);
        if (settings.LayerFloor > 0)
        {
            var variance = targetVariance + FeatureLoss.VarianceFloor;
            var factor = variance / (variance + (settings.LayerFloor * mean));
            weights *= settings.Difference == FeatureDifference.Absolute ? factor.Sqrt() : factor;
        }

        return scope.Keep(weights);
    }

    private void Watch(HealthLog health, string layer, FeatureTerms terms, Tensor values, long elements)
    {
        using var quiet = Autograd.NoGrad();
        var heaviest = values.Topk((values.Shape[1] + 99) / 100, 1).Item1;
        health.Ratio($"{Name}/heaviest/{layer}", heaviest.Sum(), values.Sum());
        var kept = terms.Kept.Sum();
        var all = Ops.FullLike(kept, elements);
        health.Ratio($"{Name}/masked/{layer}", all - kept, all);
        health.Ratio($"{Name}/raw/{layer}", terms.SquaredError.Sum(), kept);
        health.Ratio($"{Name}/normalised/{layer}", values.Sum(), Ops.FullLike(kept, values.Count));
        health.Ratio($"{Name}/variance_ratio/{layer}", terms.EstimateVariance.Sum(), terms.TargetVariance.Sum());
    }
}
