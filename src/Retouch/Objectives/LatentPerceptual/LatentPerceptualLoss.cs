using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>
/// The latent perceptual loss between two latents, for programs with a training loop or a measurement without <see cref="ObjectiveSet"/>:
/// Berrada et al. 2024, <em>Boosting Latent Diffusion with Perceptual Objectives</em>, arXiv 2411.04873, eq. 2. The values and gradients
/// are those of <see cref="LatentPerceptualObjective"/> in training, before its weight.
/// </summary>
public static class LatentPerceptualLoss
{
    /// <summary>
    /// Loss of a batch: compares the features of a frozen decoder for a target and for an estimate of it, and reduces over samples
    /// (<see cref="LatentPerceptualOptions.SampleReduction"/>).
    /// </summary>
    /// <param name="autoencoder">Provides the decoder, with its weights on the device of the latents.</param>
    /// <param name="target">Target z0, scaled and shifted as by <see cref="IAutoencoder.Encode"/>: [batch, latent channels, height, width],
    /// float32 or float64; receives no gradient.</param>
    /// <param name="estimate">Estimate ẑ0, of the same shape, type and device.</param>
    /// <param name="options">Options; null for the defaults. The weight is not applied, and thresholds and mask windows are scaled by
    /// resolutionScale (default 1).</param>
    /// <param name="level">Noise levels of the estimate, one per sample: the gate then selects the samples, and others have loss 0 and are
    /// not decoded. Null for no gate: all samples count.</param>
    /// <returns>A scalar of at least 0, differentiable with respect to the estimate; float32, or float64 for such latents. Its graph keeps
    /// the decoder's activations until it is freed.</returns>
    /// <exception cref="UsageException">The latents differ in shape or type or do not fit the autoencoder, or options are invalid, do not
    /// fit the decoder, or depend on a training run (noiseWeighting, startStep, rampSteps).</exception>
    public static Tensor Between(
        IAutoencoder autoencoder,
        Latent target,
        Latent estimate,
        LatentPerceptualOptions? options = null,
        NoiseLevel? level = null
    )
    {
        options ??= LatentPerceptualPresets.Default;
        using var scope = TensorScope.Enter();
        var (losses, active) = Losses(autoencoder, target, estimate, options, level);
        var divisor = options.SampleReduction == SampleReduction.Active ? active : losses.Shape[0];
        return scope.Keep(losses.Sum() / IDecodedObjective.AtLeast(divisor));
    }

    /// <summary>Losses of the samples of a batch, each independent of the others.</summary>
    /// <inheritdoc cref="Between" path="/param"/>
    /// <inheritdoc cref="Between" path="/exception"/>
    /// <returns>[batch], at least 0, in the order of the samples; otherwise as <see cref="Between"/>.</returns>
    public static Tensor PerSample(
        IAutoencoder autoencoder,
        Latent target,
        Latent estimate,
        LatentPerceptualOptions? options = null,
        NoiseLevel? level = null
    )
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Losses(autoencoder, target, estimate, options ?? LatentPerceptualPresets.Default, level).Losses);
    }

    /// <summary>Losses [batch], 0 for samples outside the gate, and the number of the others.</summary>
    private static (Tensor Losses, int Active) Losses(
        IAutoencoder autoencoder,
        Latent target,
        Latent estimate,
        LatentPerceptualOptions options,
        NoiseLevel? level
    )
    {
        ArgumentNullException.ThrowIfNull(autoencoder);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(estimate);
        var (z, zHat) = (target.Value, estimate.Value);
        Check(autoencoder, z, zHat, options, level);
        var objective = new LatentPerceptualObjective(options.OfWholeEstimate(), autoencoder, path: "");
        using var scope = TensorScope.Enter();
        var batch = checked((int)z.Shape[0]);
        long[] active =
        [
            .. (level is null ? Enumerable.Repeat(true, batch) : objective.Active(level))
                .Index()
                .Where(static a => a.Item)
                .Select(static a => (long)a.Index),
        ];
        if (active.Length == batch)
            return (scope.Keep(Compare(objective, autoencoder, z, zHat, scope)), batch);
        // An empty sum, so that the result is part of the estimate's graph without active samples, too.
        var losses = zHat.Reshape([batch, -1L]).Narrow(1, 0, 0).Sum([1L]);
        if (active.Length == 0)
            return (scope.Keep(losses), 0);
        var index = Tensor.From(active).To(z.Device);
        var some = Compare(objective, autoencoder, z.IndexSelect(0, index), zHat.IndexSelect(0, index), scope);
        losses.IndexAddInPlace(0, index, some);
        return (scope.Keep(losses), active.Length);
    }

    private static Tensor Compare(LatentPerceptualObjective objective, IAutoencoder autoencoder, Tensor z, Tensor zHat, TensorScope scope)
    {
        var request = objective.Request;
        DecodedTaps decoded;
        using (Autograd.NoGrad())
            decoded = autoencoder.DecodeWithTaps(new Latent(z.Detach()), request);
        var estimated = autoencoder.DecodeWithTaps(new Latent(objective.Mix.Apply(zHat, z.Detach())), request);
        return objective.PerSample(new DecodedSamples(estimated, decoded, null), new HealthLog(scope));
    }

    private static void Check(IAutoencoder autoencoder, Tensor z, Tensor zHat, LatentPerceptualOptions options, NoiseLevel? level)
    {
        if (!z.Shape.SequenceEqual(zHat.Shape) || z.DType != zHat.DType || z.Device != zHat.Device)
            throw new UsageException($"The target is {z}, the estimate {zHat}; shape, type and device must be equal.");
        if (z.Dim != 4 || z.Shape[1] != autoencoder.LatentChannels || z.Count == 0 || z.DType is not (DType.Float32 or DType.Float64))
            throw new UsageException(
                $"The latents are {z}; they must be [batch, {autoencoder.LatentChannels}, height, width] in float32 or float64."
            );
        if (level is not null && level.Batch != z.Shape[0])
            throw new UsageException($"{level.Batch} noise levels for {z.Shape[0]} samples; give one per sample.");
        var check = Requirements.OfFile();
        options.Validate(check);
        const string Trained = "applies to a step of training; leave it out for a loss between latents";
        check.That(options.NoiseWeighting == NoiseWeighting.None, nameof(options.NoiseWeighting), Trained);
        check.That(options.StartStep == 0, nameof(options.StartStep), Trained);
        check.That(options.RampSteps == 0, nameof(options.RampSteps), Trained);
        check.Throw();
    }
}
