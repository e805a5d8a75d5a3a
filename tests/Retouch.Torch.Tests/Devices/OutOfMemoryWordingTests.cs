using Retouch.Torch.Devices;

namespace Retouch.Torch.Tests.Devices;

public sealed class OutOfMemoryWordingTests
{
    [Theory]
    [InlineData("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 7.79 GiB total capacity)")]
    [InlineData("CUDA error: out of memory")]
    [InlineData("HIP out of memory. Tried to allocate 20.00 MiB")]
    [InlineData("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")]
    [InlineData("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")]
    [InlineData("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`")]
    [InlineData("cuFFT error: CUFFT_ALLOC_FAILED")]
    [InlineData("CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY")]
    [InlineData("[enforce fail at alloc_cpu.cpp:66] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")]
    [InlineData("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")]
    [InlineData("unable to mmap 8 bytes from file </w>: Cannot allocate memory (12)")]
    [InlineData("std::bad_alloc")]
    [InlineData("could not create a memory object")]
    public void Out_of_memory_errors_are_recognised(string message) => Assert.True(OutOfMemoryWording.Matches(message));

    [Theory]
    [InlineData("The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1")]
    [InlineData("CUDA error: an illegal memory access was encountered")]
    [InlineData("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED")]
    [InlineData("expected memory format to be contiguous")]
    public void Other_errors_are_not_recognised(string message) => Assert.False(OutOfMemoryWording.Matches(message));

    [Fact]
    public void A_huge_tensor_is_out_of_memory_with_a_remedy()
    {
        using var scope = TensorScope.Enter();
        var error = Assert.Throws<OutOfDeviceMemoryException>(() => Ops.Empty([1L << 44]));
        Assert.Equal(4, error.ExitCode);
        Assert.Contains("smaller batch", error.Message, StringComparison.Ordinal);
    }
}
