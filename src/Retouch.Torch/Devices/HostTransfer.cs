namespace Retouch.Torch.Devices;

/// <summary>
/// Tensors on their way between the machine's memory and a device. What goes to a GPU is copied into page-locked memory first and then
/// moved while the program goes on; libtorch keeps that memory until the copy is done. What comes from a GPU is waited for.
/// </summary>
internal static class HostTransfer
{
    /// <summary>Above this, page-locked memory is not worth its price: weights on loading, not what a step uploads.</summary>
    private const long MostPinned = 64L << 20;

    [ThreadStatic]
    private static Action<Tensor, Device>? s_watch;

    /// <summary>Calls <paramref name="watch"/> before every transfer that this thread asks for, until the result is disposed.</summary>
    public static IDisposable Watch(Action<Tensor, Device> watch)
    {
        var outer = s_watch;
        s_watch = watch;
        return new Watching(outer);
    }

    /// <summary>The elements of a tensor on another device.</summary>
    public static Tensor Move(Tensor tensor, Device device)
    {
        s_watch?.Invoke(tensor, device);
        var bytes = tensor.Count * tensor.DType.Size();
        var pinned = device.Type == DeviceType.Cuda && tensor.Device.Type == DeviceType.Cpu && bytes <= MostPinned && !tensor.RequiresGrad;
        if (!pinned)
            return Ops.To(tensor, device, tensor.DType, nonBlocking: false, copy: false);
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.To(Ops.PinMemory(tensor), device, tensor.DType, nonBlocking: true, copy: false));
    }

    private sealed class Watching(Action<Tensor, Device>? outer) : IDisposable
    {
        public void Dispose() => s_watch = outer;
    }
}
