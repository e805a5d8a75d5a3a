using System.Collections.Concurrent;
using Retouch.Torch;

namespace Retouch.Training;

/// <summary>Compute types of training, and their availability on a device.</summary>
public static class MixedPrecision
{
    private static readonly ConcurrentDictionary<(DeviceType, DType), string?> Unavailable = new();

    /// <summary>
    /// Compute type of the decoder: float32 for decoders that overflow in float16. (bfloat16 would be sufficient, but devices that train in
    /// float16 usually lack it.)
    /// </summary>
    /// <param name="precision">Compute type of the run.</param>
    /// <param name="overflows">The autoencoder's <c>force_upcast</c>.</param>
    public static DType OfDecoder(DType precision, bool overflows) => precision == DType.Float16 && overflows ? DType.Float32 : precision;

    /// <summary>
    /// Reason why a device cannot train in a type: libtorch's error for a convolution, a matrix product or their gradients; null if it can.
    /// </summary>
    /// <param name="device">An available device.</param>
    /// <param name="type">Compute type; float32 is always supported.</param>
    public static string? Missing(Device device, DType type) =>
        type == DType.Float32
            ? null
            : Unavailable.GetOrAdd((device.Type, type), static (_, asked) => Try(asked.device, asked.type), (device, type));

    private static string? Try(Device device, DType type)
    {
        using var scope = TensorScope.Enter();
        using var recording = Autograd.WithGrad();
        try
        {
            var image = Ops.Full([1, 2, 4, 4], 0.5, dtype: DType.Float32).To(device);
            var kernel = Ops.Full([2, 2, 3, 3], 0.5, dtype: DType.Float32).To(device);
            kernel.RequiresGrad = true;
            Tensor sum;
            using (Autocast.Enter(device, type))
            {
                var features = Ops.FrozenConv2d(image, kernel, null, [1, 1], [1, 1]).Reshape([2, 16]);
                sum = features.Matmul(features.Transpose(0, 1)).To(DType.Float32).Sum();
            }

            Autograd.Backward(sum);
            return null;
        }
        catch (TorchException e)
        {
            return e.Message;
        }
    }
}
