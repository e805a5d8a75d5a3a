namespace Retouch.Torch.Devices;

/// <summary>Detects out-of-memory messages of libtorch and the libraries below it.</summary>
internal static class OutOfMemoryWording
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
    ];

    /// <summary>Whether a message reports that memory ran out.</summary>
    public static bool Matches(string message) => Array.Exists(Wordings, w => message.Contains(w, StringComparison.OrdinalIgnoreCase));
}
