using Retouch.Core.Errors;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// The pixel-space loss (Zhang et al. 2024, <em>Pixel-Space Post-Training of Latent Diffusion Models</em>, eq. 1–3 and 8): mean squared
/// error after decoding, for all samples, without gate or SNR weight.
/// </summary>
public sealed class PixelObjective : IDecodedObjective
{
    private readonly PixelEstimate _estimate;
    private readonly PixelTarget _target;

    /// <param name="options">Validated options, in pixel space.</param>
    /// <param name="name">Log name.</param>
    /// <exception cref="ArgumentException">The options are in latent space.</exception>
    public PixelObjective(PixelOptions options, string name = "pixel")
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Space != PixelSpace.Pixel)
            throw new ArgumentException("Latent space does not use the decoder.", nameof(options));
        _estimate = options.Estimate ?? PixelEstimate.Remix;
        _target = options.Target ?? (_estimate == PixelEstimate.X0 ? PixelTarget.Image : PixelTarget.Decoding);
        (Name, Weight) = (name, options.Weight);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public TermWeight Weight { get; }

    /// <summary>Whether images are needed, so that cached latents alone are not sufficient.</summary>
    public bool NeedsImages => _target == PixelTarget.Image;

    /// <inheritdoc/>
    public DecodeNeed Need(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (NeedsImages && inputs.Images is null)
            throw new UsageException(
                "pixel.target: 'image' needs images, which this step does not have; train from images instead of "
                    + "cached latents, or set target to 'decoding'."
            );
        var all = Enumerable.Repeat(true, inputs.Batch).ToArray();
        var source = _estimate == PixelEstimate.Remix ? DecodeSource.Remix : DecodeSource.Estimate;
        DecodeSource? target =
            NeedsImages ? null
            : _estimate == PixelEstimate.Remix ? DecodeSource.Noisy
            : DecodeSource.Clean;
        return new DecodeNeed(all, source, target, [], Rgb: true);
    }

    /// <inheritdoc/>
    public double Divisor(ObjectiveInputs inputs, SampleRole role, int active)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return inputs.DivisorOf(role);
    }

    /// <inheritdoc/>
    public Tensor PerSample(DecodedSamples decoded, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(decoded);
        ArgumentNullException.ThrowIfNull(health);
        var estimate = Widen(decoded.Estimate.Rgb!);
        var target = Widen(NeedsImages ? decoded.Images! : decoded.Target!.Rgb!);
        if (!estimate.Shape.AsSpan().SequenceEqual(target.Shape))
            throw new InputException(
                $"The decoded images are [{string.Join(", ", estimate.Shape)}], the targets [{string.Join(", ", target.Shape)}]; "
                    + $"the images must have the size that was encoded."
            );
        var errors = (estimate - target).Square();
        if (decoded.Windows?.Weights(errors) is { } evenly)
            errors *= evenly;
        var loss = decoded.Mask?.MeanOf(errors) ?? errors.Mean([1L, 2, 3]);
        using var quiet = Autograd.NoGrad();
        health.Total($"{Name}/nonfinite", loss.Isfinite().LogicalNot().Sum());
        return loss;
    }

    private static Tensor Widen(Tensor x) => x.DType == DType.Float64 ? x : x.To(DType.Float32);
}

/// <summary>
/// Control experiment for the pixel loss: ‖b_t(ε̂ − ε)‖², the perturbation that <see cref="PixelObjective"/> decodes, measured in latent
/// space.
/// </summary>
/// <param name="weight">λ.</param>
public sealed class LatentWeightedObjective(TermWeight weight) : ILatentObjective
{
    /// <inheritdoc/>
    public string Name => "pixel";

    /// <inheritdoc/>
    public TermWeight Weight => weight;

    /// <inheritdoc/>
    public Tensor Evaluate(ObjectiveInputs inputs, HealthLog health)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (inputs.Mask is { } mask)
            return inputs.Imitated(mask.MeanOf((inputs.Noisy.Value - inputs.Remix).Square())).Mean();
        return inputs.Imitated(inputs.Noisy.Value - inputs.Remix).Square().Mean();
    }
}
