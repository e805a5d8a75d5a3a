using System.Runtime.InteropServices;

namespace Retouch.Torch.Interop;

/// <summary>Tensor metadata, with the layout of <c>rt_tensor_info</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TensorInfo
{
    public const int MaxDim = 16;
    public long Count;
    public fixed long Sizes[MaxDim];
    public nint Data;
    public int Dim;
    public int DType;
    public int DeviceType;
    public int DeviceIndex;
    public int Contiguous;
    public int RequiresGrad;
    public long StorageBytes;

    public static TensorInfo Of(nint handle)
    {
        TensorInfo info;
        Native.Check(Native.TensorInfoGet(handle, &info), "tensor");
        return info;
    }
}
