using System.Collections.Concurrent;
using Retouch.Torch;

namespace Retouch.Training;

/// <summary>Availability of compute types on a device.</summary>
public static class MixedPrecision
{
    private static readonly ConcurrentDictionary<(DeviceType, DType), string?> Unavailable = new();

    /// <summary>
    /// Reason why a device cannot train in a type: libtorch's error for a convolution, a matrix product or their gradients; null if it can.
    /// </summary>
    /// <param name="device">An available device.</param>
    /// <param name="type">Compute type; float32 is always supported.</param>
    public static string? Missing(Device device, DType type) =>
        type == DType.Float32
            ? null
            : Unavailable.GetOrAdd((device.Type, type), static (_, asked) => Try(asked.device, asked.type), (device, type));

    /// <summary>Message that a device cannot compute in a type, with the alternative; null if it can.</summary>
    /// <param name="device">An available device.</param>
    /// <param name="type">Compute type.</param>
    public static string? Refusal(Device device, DType type) =>
        Missing(device, type) is { } missing
            ? $"{type.Name()} is not available on {device} with libtorch {TorchRuntime.Version} ({missing.Split('\n')[0].Trim()}); "
                + $"use {(type == DType.Float16 ? "bfloat16 or float32, or a GPU" : "float32")}"
            : null;

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
