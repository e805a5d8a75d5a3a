using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>
/// Standard normal noise for a batch of pictures, with one CPU generator per picture: a picture depends on its own seed, not on the rest of
/// the batch or the device.
/// </summary>
public sealed class ImageNoise : IDisposable
{
    private readonly Generator[] _generators;
    private readonly long[] _shape;
    private readonly Device _device;

    /// <param name="seeds">One seed per picture.</param>
    /// <param name="shape">Shape of one picture's latent: [channels, height, width].</param>
    /// <param name="device">Device of the noise.</param>
    public ImageNoise(ReadOnlySpan<ulong> seeds, ReadOnlySpan<long> shape, Device device)
    {
        _generators = Array.ConvertAll(seeds.ToArray(), static seed => Generator.Create(Device.Cpu, seed));
        (_shape, _device) = (shape.ToArray(), device);
    }

    /// <summary>Next noise of all pictures: [batch, channels, height, width], float32.</summary>
    public Tensor Draw()
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.Stack(Array.ConvertAll(_generators, g => Ops.Randn(_shape, g))).To(_device));
    }

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(_generators, static g => g.Dispose());
}
