using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>
/// The latent perceptual loss (Berrada et al. 2024, <em>Boosting Latent Diffusion with Perceptual Objectives</em>, eq. 2): compares what
/// the decoder's layers make of z0 and of ẑ0, for samples whose noise is low enough.
/// </summary>
public sealed class LatentPerceptualObjective : IDecodedObjective
{
    private readonly LayerPlan _plan;
    private readonly Gate _gate;
    private readonly SampleReduction _reduction;

    /// <param name="options">Validated options.</param>
    /// <param name="autoencoder">Whose decoder is looked into.</param>
    /// <param name="name">Under which it is logged.</param>
    /// <exception cref="UsageException">The options do not fit each other or this decoder.</exception>
    public LatentPerceptualObjective(LatentPerceptualOptions options, IAutoencoder autoencoder, string name = "lpl")
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(autoencoder);
        string[] problems = [.. options.Validate("perceptual"), .. LatentPerceptualRules.Check(options, "perceptual", autoencoder.Taps)];
        if (problems.Length > 0)
            throw new UsageException(string.Join('\n', problems));
        _plan = new LayerPlan(options, autoencoder);
        _gate = new Gate(options);
        _reduction = options.SampleReduction;
        (Name, Weight) = (name, options.Weight);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public TermWeight Weight { get; }

    /// <inheritdoc/>
    public DecodeNeed Need(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return new DecodeNeed(_gate.Active(inputs.Noisy.Level), DecodeSource.Estimate, DecodeSource.Clean, _plan.Taps, _plan.Rgb);
    }

    /// <inheritdoc/>
    public double Divisor(int batch, int active) => _reduction == SampleReduction.Active ? active : batch;

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

    /// <summary>ω_l times the mean over channels and pixels, one entry a layer, each [samples].</summary>
    internal Tensor[] PerLayer(DecodedSamples decoded, HealthLog health)
    {
        var losses = new Tensor[_plan.Layers.Count];
        for (var l = 0; l < losses.Length; l++)
        {
            var layer = _plan.Layers[l];
            var image = l == _plan.Taps.Length;
            var target = Widen(image ? decoded.Target!.Rgb! : decoded.Target!.Features[l]);
            var estimate = Widen(image ? decoded.Estimate.Rgb! : decoded.Estimate.Features[l]);
            var terms = FusedFeatureLoss.Supports(target, layer.Features)
                ? FusedFeatureLoss.Compare(target, estimate, layer.Features)
                : FeatureLoss.Compare(target, estimate, layer.Features);
            losses[l] = layer.Weight * terms.Loss.Mean([1L]);
            Watch(health, layer.Name, terms, target.Count);
        }

        return losses;
    }

    /// <summary>Statistics are computed in float32 at least, whatever the decoder's precision.</summary>
    private static Tensor Widen(Tensor x) => x.DType == DType.Float64 ? x : x.To(DType.Float32);

    private void Watch(HealthLog health, string layer, FeatureTerms terms, long elements)
    {
        using var quiet = Autograd.NoGrad();
        var kept = terms.Kept.Sum();
        var all = Ops.FullLike(kept, elements);
        health.Ratio($"{Name}/masked/{layer}", all - kept, all);
        health.Ratio($"{Name}/raw/{layer}", terms.SquaredError.Sum(), kept);
        health.Ratio($"{Name}/normalised/{layer}", terms.Loss.Sum(), Ops.FullLike(kept, terms.Loss.Count));
        health.Ratio($"{Name}/variance_ratio/{layer}", terms.EstimateVariance.Sum(), terms.TargetVariance.Sum());
    }
}
