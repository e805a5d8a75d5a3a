using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>Device types, with libtorch's numbers.</summary>
public enum DeviceType
{
    /// <summary>The CPU.</summary>
    Cpu = 0,

    /// <summary>An NVIDIA GPU.</summary>
    Cuda = 1,

    /// <summary>Shapes and dtypes without data.</summary>
    Meta = 14,
}

/// <summary>Device of a tensor.</summary>
/// <param name="Type">Device type.</param>
/// <param name="Index">Index among the devices of the type; 0 for the CPU.</param>
public readonly record struct Device(DeviceType Type, int Index)
{
    /// <summary>The CPU.</summary>
    public static Device Cpu => new(DeviceType.Cpu, 0);

    /// <summary>The meta device: tensors with shape and dtype but without data.</summary>
    public static Device Meta => new(DeviceType.Meta, 0);

    internal int NativeIndex => Type is DeviceType.Cpu or DeviceType.Meta ? -1 : Index;

    /// <summary>A GPU by index.</summary>
    public static Device Cuda(int index = 0) => new(DeviceType.Cuda, index);

    /// <summary>Text for the first GPU that libtorch can use, or the CPU without one.</summary>
    public const string Auto = "auto";

    /// <summary>Parses <c>cpu</c>, <c>cuda</c>, <c>cuda:1</c> or <c>auto</c>.</summary>
    /// <exception cref="UsageException">The text is not a device.</exception>
    public static Device Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text == Auto)
            return CudaStatus.Read().Devices > 0 ? Cuda() : Cpu;
        var parts = text.Split(':');
        var index = 0;
        var known = parts[0] is "cpu" or "cuda" && parts.Length <= 2 && !(parts[0] == "cpu" && parts.Length == 2);
        if (!known || (parts.Length == 2 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index)))
            throw new UsageException($"'{text}' is not a device. Use auto, cpu, cuda or cuda:1.");
        return parts[0] == "cpu" ? Cpu : Cuda(index);
    }

    /// <summary>Returns this device if libtorch can use it.</summary>
    /// <exception cref="EnvironmentException">The device is not available; the message gives reason and remedy.</exception>
    public Device Require()
    {
        if (Type == DeviceType.Cuda && CudaStatus.Read() is var status && Index >= status.Devices)
            throw new EnvironmentException($"There is no device {this}: {status.Reason}. {status.Remedy}");
        return this;
    }

    /// <summary>Waits for all queued work of the device; returns immediately for the CPU.</summary>
    public void Synchronize()
    {
        if (Type == DeviceType.Cuda)
            Native.Check(Native.CudaSynchronize(Index), "synchronize");
    }

    /// <inheritdoc/>
    public override string ToString() =>
        Type switch
        {
            DeviceType.Cuda => $"cuda:{Index}",
            DeviceType.Cpu => "cpu",
            DeviceType.Meta => "meta",
            // A third-party backend; its number differs between versions.
            _ => $"device {(int)Type}:{Index}",
        };
}
