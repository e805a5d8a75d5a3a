using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Evaluation.Pictures;

/// <summary>
/// Reconstructions of a set by an autoencoder (posterior mean, decoded, rounded to 8 bit), computed on reading. Their distance to the
/// originals is the lower bound of any denoiser with this autoencoder.
/// </summary>
/// <param name="originals">Original pictures.</param>
/// <param name="autoencoder">Autoencoder; not disposed.</param>
/// <param name="device">Device of the autoencoder.</param>
public sealed class ReconstructedImages(ImageSet originals, IAutoencoder autoencoder, Device device) : ImageSet
{
    /// <inheritdoc/>
    public override string Name => $"{originals.Name} (reconstructed)";

    /// <inheritdoc/>
    public override int Count => originals.Count;

    /// <inheritdoc/>
    public override int Width => originals.Width;

    /// <inheritdoc/>
    public override int Height => originals.Height;

    /// <inheritdoc/>
    public override string Preparation => $"{originals.Preparation}; encoded (posterior mean) and decoded by {autoencoder.GetType().Name}";

    /// <inheritdoc/>
    public override string Id(int index) => originals.Id(index);

    /// <inheritdoc/>
    public override Tensor Read(int start, int count)
    {
        if (Width % autoencoder.Downsampling != 0 || Height % autoencoder.Downsampling != 0)
        {
            throw new InputException(
                $"Pictures of {Width} x {Height} cannot be encoded: both sides must be divisible by {autoencoder.Downsampling}. Resize "
                    + $"them with --size."
            );
        }

        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var images = (originals.Read(start, count) * 2) - 1;
        var decoded = autoencoder.Decode(autoencoder.Encode(images.To(device), generator: null));
        return scope.Keep(FromModel(decoded));
    }
}
