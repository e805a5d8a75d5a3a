using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>
/// Normal noise for a batch of pictures, each drawn by a generator of its own on the CPU: a picture depends on its seed, not on what is
/// drawn beside it nor on the device.
/// </summary>
public sealed class ImageNoise : IDisposable
{
    private readonly Generator[] _generators;
    private readonly long[] _shape;
    private readonly Device _device;

    /// <param name="seeds">One a picture.</param>
    /// <param name="shape">Of one picture's latent: [channels, height, width].</param>
    /// <param name="device">Where the noise goes.</param>
    public ImageNoise(ReadOnlySpan<ulong> seeds, ReadOnlySpan<long> shape, Device device)
    {
        _generators = Array.ConvertAll(seeds.ToArray(), static seed => Generator.Create(Device.Cpu, seed));
        (_shape, _device) = (shape.ToArray(), device);
    }

    /// <summary>The next noise of every picture: [batch, channels, height, width], float32.</summary>
    public Tensor Draw()
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.Stack(Array.ConvertAll(_generators, g => Ops.Randn(_shape, g))).To(_device));
    }

    /// <inheritdoc/>
    public void Dispose() => Array.ForEach(_generators, static g => g.Dispose());
}
