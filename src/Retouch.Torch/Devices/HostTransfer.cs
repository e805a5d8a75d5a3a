namespace Retouch.Torch.Devices;

/// <summary>
/// Transfers between host and device. Transfers to a GPU go through page-locked memory and are asynchronous; libtorch keeps that memory
/// until the copy is done. Transfers from a GPU are synchronous.
/// </summary>
internal static class HostTransfer
{
    /// <summary>Maximum size for page-locked memory: larger transfers are weights at load time, for which pinning costs more than it
    /// saves.</summary>
    private const long MostPinned = 64L << 20;

    [ThreadStatic]
    private static Action<Tensor, Device>? _watch;

    /// <summary>Calls <paramref name="watch"/> before every transfer of this thread until the result is disposed.</summary>
    public static IDisposable Watch(Action<Tensor, Device> watch)
    {
        var outer = _watch;
        _watch = watch;
        return new Watching(outer);
    }

    /// <summary>Copies a tensor to another device.</summary>
    public static Tensor Move(Tensor tensor, Device device)
    {
        _watch?.Invoke(tensor, device);
        var bytes = tensor.Count * tensor.DType.Size();
        var pinned = device.Type == DeviceType.Cuda && tensor.Device.Type == DeviceType.Cpu && bytes <= MostPinned && !tensor.RequiresGrad;
        if (!pinned)
            return Ops.To(tensor, device, tensor.DType, nonBlocking: false, copy: false);
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.To(Ops.PinMemory(tensor), device, tensor.DType, nonBlocking: true, copy: false));
    }

    private sealed class Watching(Action<Tensor, Device>? outer) : IDisposable
    {
        public void Dispose() => _watch = outer;
    }
}
