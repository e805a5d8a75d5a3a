using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>What is shrunk and enlarged again.</summary>
public enum StudySpace
{
    /// <summary>The picture.</summary>
    Pixels,

    /// <summary>Its latent, which is decoded afterwards.</summary>
    Latents,
}

/// <summary>How values between pixels are made.</summary>
public enum Interpolation
{
    /// <summary>The nearest one.</summary>
    Nearest,

    /// <summary>Linear; shrinking takes the mean under the filter (antialias).</summary>
    Bilinear,

    /// <summary>Cubic; shrinking takes the mean under the filter (antialias).</summary>
    Bicubic,
}

/// <summary>What shrinking and enlarging did.</summary>
/// <param name="Space">To pictures or to latents.</param>
/// <param name="Interpolation">How.</param>
/// <param name="Factor">By how much each side was shrunk.</param>
/// <param name="Mse">Mean squared error of the pictures, which lie in [−1, 1]: of pixels against the original, of latents against the
/// decoding of the latent as it was.</param>
/// <param name="Features">The decoder-feature distance (<see cref="DecoderFeatures.Distance"/>).</param>
/// <param name="Lpips">The learned perceptual distance, where its network was given.</param>
/// <param name="Examples">The first pictures.</param>
public sealed record InterpolationResult(
    StudySpace Space,
    Interpolation Interpolation,
    int Factor,
    double Mse,
    double Features,
    double? Lpips,
    IReadOnlyList<Picture> Examples
);

/// <summary>
/// Latents are no small pictures (Berrada et al. 2024, arXiv 2411.04873, on the structure of latent space): what interpolation does to a
/// picture, and what the same does to its latent, by squared error and by a perceptual distance.
/// </summary>
public static class LatentStructure
{
    /// <summary>Measures every combination.</summary>
    /// <param name="images">[pictures, 3, height, width] in [−1, 1]; sides divisible by downsampling times every factor.</param>
    /// <param name="autoencoder">With its weights on <paramref name="device"/>; the posterior's mean is taken.</param>
    /// <param name="factors">2, 4, ….</param>
    /// <param name="examples">Pictures to give back of each combination.</param>
    /// <param name="lpips">LPIPS; null leaves it out.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="cancellation">Ends it between two combinations.</param>
    /// <exception cref="UsageException">The pictures cannot be divided by a factor.</exception>
    public static IReadOnlyList<InterpolationResult> Measure(
        Tensor images,
        IAutoencoder autoencoder,
        IReadOnlyList<int> factors,
        int examples,
        PerceptualSimilarity? lpips,
        Device device,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(autoencoder);
        ArgumentNullException.ThrowIfNull(factors);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var originals = images.To(device);
        var latents = autoencoder.Encode(originals, generator: null);
        foreach (var factor in factors)
        {
            var step = factor * autoencoder.Downsampling;
            if (factor < 2 || images.Shape[2] % step != 0 || images.Shape[3] % step != 0)
                throw new UsageException(
                    $"Pictures of {images.Shape[3]} x {images.Shape[2]} cannot be shrunk {factor} times in latents "
                        + $"{autoencoder.Downsampling} times smaller: both sides must be divisible by {Math.Max(step, 2)}."
                );
        }

        var decoded = autoencoder.Decode(latents);
        List<InterpolationResult> results = [];
        foreach (var space in Enum.GetValues<StudySpace>())
        {
            foreach (var factor in factors)
            {
                foreach (var how in Enum.GetValues<Interpolation>())
                {
                    cancellation.ThrowIfCancellationRequested();
                    using var inner = TensorScope.Enter();
                    var (shown, changed, reference) =
                        space == StudySpace.Pixels
                            ? (DownAndUp(originals, factor, how), (Latent?)null, originals)
                            : (null, new Latent(DownAndUp(latents.Value, factor, how)), decoded);
                    shown ??= autoencoder.Decode(changed!);
                    changed ??= autoencoder.Encode(shown, generator: null);
                    results.Add(
                        new InterpolationResult(
                            space,
                            how,
                            factor,
                            (shown - reference).Square().Mean().Item(),
                            DecoderFeatures.Distance(autoencoder, latents, changed),
                            lpips?.Of(Unit(shown), Unit(reference)).Average(),
                            PictureTensors.ToPictures(shown.Narrow(0, 0, Math.Min(examples, images.Shape[0])).Contiguous().To(Device.Cpu))
                        )
                    );
                }
            }
        }

        return results;
    }

    /// <summary>Shrinks both sides by a factor and enlarges them again; a new tensor of the same shape.</summary>
    /// <param name="x">[batch, channels, height, width], sides divisible by the factor.</param>
    /// <param name="factor">At least 1.</param>
    /// <param name="how">Both ways alike.</param>
    public static Tensor DownAndUp(Tensor x, int factor, Interpolation how)
    {
        ArgumentNullException.ThrowIfNull(x);
        using var scope = TensorScope.Enter();
        long[] small = [x.Shape[2] / factor, x.Shape[3] / factor],
            full = [x.Shape[2], x.Shape[3]];
        return scope.Keep(
            how switch
            {
                Interpolation.Nearest => x.UpsampleNearest2d(small).UpsampleNearest2d(full),
                Interpolation.Bilinear => Ops.UpsampleBilinear2dAa(x, small, false).UpsampleBilinear2d(full, false),
                _ => Ops.UpsampleBicubic2dAa(x, small, false).UpsampleBicubic2d(full, false),
            }
        );
    }

    private static Tensor Unit(Tensor x) => (x.Clamp(-1, 1) + 1) / 2;
}
