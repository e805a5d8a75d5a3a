using System.Globalization;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Images;
using Retouch.Perception;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>Space of the interpolation.</summary>
public enum StudySpace
{
    /// <summary>Pictures.</summary>
    Pixels,

    /// <summary>Latents, decoded afterwards.</summary>
    Latents,
}

/// <summary>Interpolation mode.</summary>
public enum Interpolation
{
    /// <summary>Nearest neighbour.</summary>
    Nearest,

    /// <summary>Bilinear, antialiased when downsampling.</summary>
    Bilinear,

    /// <summary>Bicubic, antialiased when downsampling.</summary>
    Bicubic,
}

/// <summary>Effect of downsampling followed by upsampling.</summary>
/// <param name="Space">Space of the interpolation.</param>
/// <param name="Interpolation">Interpolation mode.</param>
/// <param name="Factor">Downsampling factor per side; sides are rounded to whole pixels.</param>
/// <param name="Mse">Mean squared error of pictures in [−1, 1]: against the original for pixels, against the decoding of the original
/// latent for latents.</param>
/// <param name="Latent">Mean squared error against the original latent: of the encoded result for pixels, of the result itself for
/// latents.</param>
/// <param name="Features">Decoder-feature distance (<see cref="DecoderFeatures.Distance"/>).</param>
/// <param name="Lpips">LPIPS; null without its network.</param>
/// <param name="Examples">First pictures.</param>
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
/// Effect of interpolation on pictures and on their latents, by squared error and by a perceptual distance: latents are not downsampled
/// pictures (Berrada et al. 2024, arXiv 2411.04873, on the structure of latent space).
/// </summary>
public static class LatentStructure
{
    /// <summary>Measures all combinations of space, mode and factor.</summary>
    /// <param name="images">[pictures, 3, height, width] in [−1, 1]; sides divisible by the downsampling.</param>
    /// <param name="autoencoder">Autoencoder on <paramref name="device"/>; latents are posterior means.</param>
    /// <param name="factors">Downsampling factors above 1, such as 1.3, 2, 4; sides are rounded to whole pixels.</param>
    /// <param name="examples">Number of example pictures per combination.</param>
    /// <param name="lpips">LPIPS, or null.</param>
    /// <param name="device">Device of the computation.</param>
    /// <param name="cancellation">Cancels between combinations.</param>
    /// <exception cref="UsageException">A factor leaves no pixel, or all of them.</exception>
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
                        $"Latents of {width} x {height} pixels cannot be downsampled by {factor}: factors must be above 1 and result in "
                    ) + "at least 1 pixel per side, fewer than before."
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

    /// <summary>Downsamples both sides by a factor and upsamples them again; a new tensor of the same shape.</summary>
    /// <param name="x">[batch, channels, height, width].</param>
    /// <param name="factor">Factor, at least 1; sides are rounded to whole pixels.</param>
    /// <param name="how">Interpolation mode of both directions.</param>
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
