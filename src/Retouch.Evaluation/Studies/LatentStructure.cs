using System.Globalization;
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
/// <param name="Factor">By how much each side was shrunk, rounded to whole pixels.</param>
/// <param name="Mse">Mean squared error of the pictures, which lie in [−1, 1]: of pixels against the original, of latents against the
/// decoding of the latent as it was.</param>
/// <param name="Latent">Mean squared error in the latent space itself: of pixels after encoding, of latents as they are; against the latent
/// as it was.</param>
/// <param name="Features">The decoder-feature distance (<see cref="DecoderFeatures.Distance"/>).</param>
/// <param name="Lpips">The learned perceptual distance, where its network was given.</param>
/// <param name="Examples">The first pictures.</param>
public sealed record InterpolationResult(
    StudySpace Space,
    Interpolation Interpolation,
    double Factor,
    double Mse,
    double Latent,
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
    /// <param name="images">[pictures, 3, height, width] in [−1, 1]; sides divisible by the downsampling.</param>
    /// <param name="autoencoder">With its weights on <paramref name="device"/>; the posterior's mean is taken.</param>
    /// <param name="factors">1.3, 2, 4, …; above 1. Small sides are rounded to whole pixels.</param>
    /// <param name="examples">Pictures to give back of each combination.</param>
    /// <param name="lpips">LPIPS; null leaves it out.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="cancellation">Ends it between two combinations.</param>
    /// <exception cref="UsageException">A factor leaves nothing, or everything.</exception>
    public static IReadOnlyList<InterpolationResult> Measure(
        Tensor images,
        IAutoencoder autoencoder,
        IReadOnlyList<double> factors,
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
            var (height, width) = (latents.Value.Shape[2], latents.Value.Shape[3]);
            if (
                !(factor > 1)
                || Shrunk(Math.Min(height, width), factor) < 1
                || Shrunk(Math.Min(height, width), factor) == Math.Min(height, width)
            )
                throw new UsageException(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Latents of {width} x {height} pixels cannot be shrunk {factor} times: a factor is above 1, and leaves each side "
                    ) + "a pixel or more, and less than it was."
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
                            (changed.Value - latents.Value).Square().Mean().Item(),
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
    /// <param name="x">[batch, channels, height, width].</param>
    /// <param name="factor">At least 1; small sides are rounded to whole pixels.</param>
    /// <param name="how">Both ways alike.</param>
    public static Tensor DownAndUp(Tensor x, double factor, Interpolation how)
    {
        ArgumentNullException.ThrowIfNull(x);
        using var scope = TensorScope.Enter();
        long[] small = [Shrunk(x.Shape[2], factor), Shrunk(x.Shape[3], factor)],
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

    private static long Shrunk(long side, double factor) => (long)Math.Round(side / factor);

    private static Tensor Unit(Tensor x) => (x.Clamp(-1, 1) + 1) / 2;
}
