using Retouch.Core.Errors;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// The pixel-space loss (Zhang et al. 2024, <em>Pixel-Space Post-Training of Latent Diffusion Models</em>, eq. 1–3 and 8): the mean squared
/// difference behind the decoder, for every sample, with neither gate nor SNR weight.
/// </summary>
public sealed class PixelObjective : IDecodedObjective
{
    private readonly PixelEstimate _estimate;
    private readonly PixelTarget _target;

    /// <param name="options">Validated options, in pixel space.</param>
    /// <param name="name">Under which it is logged.</param>
    /// <exception cref="UsageException">The options do not fit each other.</exception>
    public PixelObjective(PixelOptions options, string name = "pixel")
    {
        ArgumentNullException.ThrowIfNull(options);
        var problems = options.Validate("pixel");
        if (problems.Count > 0)
            throw new UsageException(string.Join('\n', problems));
        if (options.Space != PixelSpace.Pixel)
            throw new UsageException("pixel.space: the decoder is not used in latent space.");
        _estimate = options.Estimate ?? PixelEstimate.Remix;
        _target = options.Target ?? (_estimate == PixelEstimate.X0 ? PixelTarget.Image : PixelTarget.Decoding);
        (Name, Weight) = (name, options.Weight);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public TermWeight Weight { get; }

    /// <summary>Whether the images of the batch are needed, so that a cache of latents alone does not do.</summary>
    public bool NeedsImages => _target == PixelTarget.Image;

    /// <inheritdoc/>
    public DecodeNeed Need(ObjectiveInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        if (NeedsImages && inputs.Images is null)
            throw new UsageException(
                "pixel.target: 'image' compares with the images, which this step does not have; train from images instead of "
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
        var loss = (estimate - target).Square().Mean([1L, 2, 3]);
        using var quiet = Autograd.NoGrad();
        health.Total($"{Name}/nonfinite", loss.Isfinite().LogicalNot().Sum());
        return loss;
    }

    private static Tensor Widen(Tensor x) => x.DType == DType.Float64 ? x : x.To(DType.Float32);
}

/// <summary>The control of the pixel loss: ‖b_t(ε̂ − ε)‖², the perturbation that <see cref="PixelObjective"/> sends through the decoder,
/// measured before it.</summary>
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
        return inputs.Imitated(inputs.Noisy.Value - inputs.Remix).Square().Mean();
    }
}
