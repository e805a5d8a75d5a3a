namespace Retouch.Torch.Devices;

/// <summary>Detects out-of-memory messages of libtorch and the libraries below it.</summary>
public static class OutOfMemoryWording
{
    private static readonly string[] Wordings =
    [
        "out of memory", // CUDA, HIP, NCCL, ours
        "cudaErrorMemoryAllocation",
        "CUDA_ERROR_OUT_OF_MEMORY",
        "_STATUS_ALLOC_FAILED", // cuBLAS, cuDNN, cuSOLVER, cuSPARSE
        "CUFFT_ALLOC_FAILED",
        "DefaultCPUAllocator",
        "can't allocate memory",
        "Cannot allocate memory",
        "not enough memory",
        "bad_alloc",
        "failed to allocate",
        "could not allocate",
        "could not create a memory object", // oneDNN
        "insufficient memory",
        "unable to allocate",
        "memory exhausted",
    ];

    /// <summary>Whether a failed file operation, such as a mapping, reports that memory ran out (ENOMEM).</summary>
    public static bool Is(IOException error)
    {
        const int NoMemory = 12;
        ArgumentNullException.ThrowIfNull(error);
        return error.HResult == NoMemory || Matches(error.Message);
    }

    /// <summary>Whether a message reports that memory ran out.</summary>
    public static bool Matches(string message) => Array.Exists(Wordings, w => message.Contains(w, StringComparison.OrdinalIgnoreCase));
}
