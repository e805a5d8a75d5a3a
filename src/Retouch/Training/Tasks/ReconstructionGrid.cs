using Retouch.Autoencoders;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Training.Tasks;

/// <summary>Grid of pictures above their reconstructions.</summary>
/// <param name="autoencoder">The autoencoder; not disposed here.</param>
/// <param name="shown">Pictures [n, 3, height, width] in [−1, 1]; not disposed here.</param>
/// <param name="count">Maximum number of pictures.</param>
/// <param name="device">Device of the autoencoder.</param>
public sealed class ReconstructionGrid(IAutoencoder autoencoder, Tensor shown, int count, Device device) : ISampleGrid
{
    /// <inheritdoc/>
    public Picture Draw(CancellationToken cancellation)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var first = shown.Narrow(0, 0, Math.Min(count, shown.Shape[0]));
        var again = autoencoder.Decode(autoencoder.Encode(first.To(device), null)).To(Device.Cpu);
        var rows = PictureTensors.ToPictures(first).Concat(PictureTensors.ToPictures(again)).ToArray();
        return PictureGrid.Compose(rows, new PictureGridLayout { Columns = (int)first.Shape[0] });
    }
}
