using System.Runtime.InteropServices;
using Retouch.Torch.Interop;

namespace Retouch.Torch.Distributed;

/// <summary>Implementations of collective operations in libtorch.</summary>
public enum CommunicationBackend
{
    /// <summary>Gloo: TCP, for tensors of the CPU (and of GPUs, through the CPU).</summary>
    Gloo,

    /// <summary>NCCL, for tensors of GPUs; every process needs a separate GPU.</summary>
    Nccl,
}

/// <summary>Availability of the backends.</summary>
public static unsafe class CommunicationBackends
{
    /// <summary>PyTorch's name of a backend.</summary>
    public static string Name(this CommunicationBackend backend) => backend == CommunicationBackend.Nccl ? "nccl" : "gloo";

    /// <summary>Why a backend is missing, with the remedy; null if it is available.</summary>
    public static string? ReasonWithout(CommunicationBackend backend)
    {
        Native.Load();
        nint text;
        Native.Check(Native.DistributedReason(backend.Name(), &text), "backends");
        try
        {
            return Marshal.PtrToStringUTF8(text) is { Length: > 0 } reason ? reason : null;
        }
        finally
        {
            Native.StringFree(text);
        }
    }
}
