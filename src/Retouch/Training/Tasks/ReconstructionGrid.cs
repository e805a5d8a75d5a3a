using Retouch.Autoencoders;
using Retouch.Images;
using Retouch.Torch;

namespace Retouch.Training.Tasks;

/// <summary>Pictures above their reconstructions by an autoencoder.</summary>
/// <param name="autoencoder">Stays the caller's.</param>
/// <param name="shown">[n, 3, height, width] in [−1, 1]; stays the caller's.</param>
/// <param name="count">Most pictures.</param>
/// <param name="device">Where the autoencoder is.</param>
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
