using System.Collections.Concurrent;
using Retouch.Torch;

namespace Retouch.Training;

/// <summary>The types that training computes products in, and whether a device has them.</summary>
public static class MixedPrecision
{
    private static readonly ConcurrentDictionary<(DeviceType, DType), string?> s_missing = new();

    /// <summary>The type by its name in options.</summary>
    /// <param name="precision">float32, bfloat16 or float16.</param>
    public static DType Parse(string precision) =>
        precision switch
        {
            "bfloat16" => DType.BFloat16,
            "float16" => DType.Float16,
            _ => DType.Float32,
        };

    /// <summary>
    /// What a decoder computes in: one that overflows in float16 stays in float32. (bfloat16 would do, but the devices that are trained on
    /// in float16 are those that lack it.)
    /// </summary>
    /// <param name="precision">What the run computes in.</param>
    /// <param name="overflows">The autoencoder's <c>force_upcast</c>.</param>
    public static DType OfDecoder(DType precision, bool overflows) => precision == DType.Float16 && overflows ? DType.Float32 : precision;

    /// <summary>
    /// Why a device cannot train in a type: what libtorch says of a convolution, a matrix product and their gradients; null where it can.
    /// </summary>
    /// <param name="device">Where to compute; it must exist.</param>
    /// <param name="type">float32 is always there.</param>
    public static string? Missing(Device device, DType type) =>
        type == DType.Float32
            ? null
            : s_missing.GetOrAdd((device.Type, type), static (_, asked) => Try(asked.device, asked.type), (device, type));

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
