using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// Size of the random windows that are decoded instead of whole latents. A window is centred on a latent drawn uniformly and moved into the
/// picture, so that its position is uniform between the borders, and latents of both borders are drawn at least half as often as others.
/// </summary>
/// <param name="Side">Side of a window in latents, at least <see cref="LeastSide"/>.</param>
/// <param name="Halo">Latents on each side of a window that are decoded with it, but not compared; at least 0.</param>
/// <param name="Downsampling">Pixels per latent along each axis.</param>
public sealed record DecodeCrop(int Side, int Halo, int Downsampling)
{
    /// <summary>Default <see cref="Halo"/>.</summary>
    public const int DefaultHalo = 4;

    /// <summary>Smallest side: a single latent has no variance to standardise by.</summary>
    public const int LeastSide = 2;

    /// <summary>Windows of a batch, one per sample.</summary>
    /// <param name="samples">Number of samples.</param>
    /// <param name="height">Height of the latents.</param>
    /// <param name="width">Width of the latents.</param>
    /// <param name="generator">CPU generator.</param>
    /// <exception cref="UsageException">The latents are smaller than a window.</exception>
    public DecodeWindows Draw(int samples, long height, long width, Generator generator)
    {
        ArgumentNullException.ThrowIfNull(generator);
        if (Side > Math.Min(height, width))
            throw new UsageException(
                $"objective.decodeCrop is {Side * Downsampling}, but a picture has {width * Downsampling} x {height * Downsampling} pixels."
            );
        using var scope = TensorScope.Enter();
        int[] Positions(long length)
        {
            var drawn = Ops.Rand([(long)samples], generator, dtype: DType.Float64).ToArray<double>();
            return Array.ConvertAll(drawn, u => Position((long)(u * 2 * length), (int)length));
        }

        var (tops, lefts) = (Positions(height), Positions(width));
        return new DecodeWindows(this, (int)height, (int)width, [.. tops.Zip(lefts)]);
    }

    /// <summary>Probability of a position along an axis: 1/n between the borders and (side + 1)/2n at both.</summary>
    /// <param name="position">First latent of the window, from 0 to <paramref name="length"/> − side.</param>
    /// <param name="length">Length n of the axis in latents.</param>
    public double Probability(int position, int length) =>
        length == Side ? 1
        : position == 0 || position == length - Side ? (Side + 1) / (2.0 * length)
        : 1.0 / length;

    /// <summary>Probability that a latent is in the window, along an axis; its mean is side/length.</summary>
    /// <param name="latent">Position of the latent, from 0.</param>
    /// <param name="length">Length of the axis in latents.</param>
    public double Coverage(int latent, int length)
    {
        var (first, last) = (Math.Max(0, latent - Side + 1), Math.Min(latent, length - Side));
        return Enumerable.Range(first, last - first + 1).Sum(position => Probability(position, length));
    }

    /// <summary>The windows' size of options; null for whole latents.</summary>
    /// <exception cref="UsageException">A size is no multiple of the autoencoder's downsampling, or too small.</exception>
    internal static DecodeCrop? Of(ObjectiveOptions options, IAutoencoder autoencoder)
    {
        if (options.DecodeCrop is not { } side)
            return null;
        var step = autoencoder.Downsampling;
        var halo = options.DecodeHalo ?? DefaultHalo * step;
        var check = Requirements.OfFile("objective");
        foreach (var (member, pixels) in new[] { (nameof(options.DecodeCrop), side), (nameof(options.DecodeHalo), halo) })
            check.That(pixels % step == 0, member, $"is {pixels}; it must be a multiple of {step}, the pixels per latent of this model");
        check.That(
            side >= LeastSide * step,
            nameof(options.DecodeCrop),
            $"is {side}; it must be at least {LeastSide * step}, {LeastSide} latents of this model"
        );
        check.Throw();
        return new DecodeCrop(side / step, halo / step, step);
    }

    /// <summary>Position of the window for a half latent, 0 to 2·length − 1, that its centre is drawn from.</summary>
    private int Position(long half, int length) => (int)Math.Clamp((half + 1 - Side) / 2, 0, length - Side);
}
