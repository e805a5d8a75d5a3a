using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>Kinds of devices, numbered as libtorch numbers them.</summary>
public enum DeviceType
{
    /// <summary>The processor.</summary>
    Cpu = 0,

    /// <summary>An NVIDIA GPU.</summary>
    Cuda = 1,

    /// <summary>Shapes without data.</summary>
    Meta = 14,
}

/// <summary>Where a tensor lives.</summary>
/// <param name="Type">The kind.</param>
/// <param name="Index">Number among the devices of the kind; 0 on the CPU.</param>
public readonly record struct Device(DeviceType Type, int Index)
{
    /// <summary>The processor.</summary>
    public static Device Cpu => new(DeviceType.Cpu, 0);

    /// <summary>No memory at all: tensors of shape and type only.</summary>
    public static Device Meta => new(DeviceType.Meta, 0);

    internal int NativeIndex => Type is DeviceType.Cpu or DeviceType.Meta ? -1 : Index;

    /// <summary>A GPU by its number.</summary>
    public static Device Cuda(int index = 0) => new(DeviceType.Cuda, index);

    /// <summary>Reads <c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>.</summary>
    /// <exception cref="UsageException">Another text.</exception>
    public static Device Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var parts = text.Split(':');
        var index = 0;
        var known = parts[0] is "cpu" or "cuda" && parts.Length <= 2 && !(parts[0] == "cpu" && parts.Length == 2);
        if (!known || (parts.Length == 2 && !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index)))
            throw new UsageException($"'{text}' is no device. Use cpu, cuda or cuda:1.");
        return parts[0] == "cpu" ? Cpu : Cuda(index);
    }

    /// <summary>This device, if libtorch can compute on it.</summary>
    /// <exception cref="EnvironmentException">It is not there; the message says why and what to do.</exception>
    public Device Require()
    {
        if (Type == DeviceType.Cuda && CudaStatus.Read() is var status && Index >= status.Devices)
            throw new EnvironmentException($"There is no device {this}: {status.Reason}. {status.Remedy}");
        return this;
    }

    /// <summary>Waits until the device has done all that was asked of it; returns at once for the CPU.</summary>
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
            // Of a backend that others add to libtorch; its number differs between versions.
            _ => $"device {(int)Type}:{Index}",
        };
}
