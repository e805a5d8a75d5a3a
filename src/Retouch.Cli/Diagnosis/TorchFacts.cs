using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Distributed;

namespace Retouch.Cli.Diagnosis;

/// <summary>Properties of the loaded libtorch.</summary>
/// <param name="BuiltFor">Version of libtorch that the native library was compiled against.</param>
/// <param name="Library">Path of the loaded native library.</param>
/// <param name="Libtorch">Path of the loaded libtorch; null if unknown.</param>
/// <param name="Blas">BLAS library: OpenBLAS, MKL, BLIS, reference BLAS or unknown.</param>
/// <param name="MatmulGflops">Speed of a float32 product of two 1024 by 1024 matrices in GFLOP/s, best of several.</param>
/// <param name="Threads">Number of operator threads.</param>
/// <param name="WaitPolicy">Wait policy of idle OpenMP threads: passive or active.</param>
/// <param name="IsTested">Whether the tests have passed with this version of libtorch, or with versions around it.</param>
/// <param name="Cuda">Whether libtorch can compute on GPUs, with the reason if not.</param>
/// <param name="CudaTotalBytes">Memory of the first GPU; null without one.</param>
/// <param name="CudaFreeBytes">Free memory of the first GPU; null without one.</param>
/// <param name="CudaBuild">Version of CUDA that libtorch was built for; null without CUDA.</param>
/// <param name="KernelFailure">Why the first GPU has no compiled kernels; null if it has, and without a GPU.</param>
/// <param name="GlooReason">Why several processes cannot train together; null if they can.</param>
/// <param name="NcclReason">Why several GPUs communicate through the CPU; null if they do not.</param>
internal sealed record TorchFacts(
    string BuiltFor,
    string Library,
    string? Libtorch,
    string Blas,
    double MatmulGflops,
    int Threads,
    string WaitPolicy,
    bool IsTested,
    CudaStatus Cuda,
    long? CudaTotalBytes,
    long? CudaFreeBytes,
    string? CudaBuild = null,
    string? KernelFailure = null,
    string? GlooReason = null,
    string? NcclReason = null
)
{
    private const int MatrixSide = 1024;

    /// <summary>Loads libtorch into this process and measures it; takes about a second.</summary>
    /// <exception cref="Core.Errors.EnvironmentException">The library cannot be loaded.</exception>
    public static TorchFacts Gather(TimeProvider time)
    {
        var version = TorchRuntime.Version;
        var cuda = CudaStatus.Read();
        var memory = cuda.Devices > 0 ? DeviceMemory.Of(Device.Cuda()) : null;
        var gflops = MeasureMatmul(time);
        return new(
            version,
            TorchRuntime.NativeLibraryPath,
            LoadedLibraries.Find("libtorch_cpu"),
            BlasKind(TorchRuntime.Configuration),
            gflops,
            TorchRuntime.Threads,
            Environment.GetEnvironmentVariable("OMP_WAIT_POLICY")?.ToLowerInvariant() ?? "passive",
            TorchRuntime.IsKnownVersion,
            cuda,
            memory?.Total,
            memory?.Free,
            GpuChecks.BuildOf(TorchRuntime.Configuration),
            cuda.Devices > 0 ? DeviceKernels.Prepare(Device.Cuda()) : null,
            CommunicationBackends.ReasonWithout(CommunicationBackend.Gloo),
            CommunicationBackends.ReasonWithout(CommunicationBackend.Nccl)
        );
    }

    private static double MeasureMatmul(TimeProvider time)
    {
        using var scope = TensorScope.Enter();
        var values = new float[MatrixSide * MatrixSide];
        for (var i = 0; i < values.Length; i++)
            values[i] = i % 17 / 17f;
        var a = Tensor.From<float>(values, MatrixSide, MatrixSide);
        var best = TimeSpan.MaxValue;
        var begin = time.GetTimestamp();
        // The reference BLAS needs almost a second per product; the first one also starts the threads.
        for (var i = 0; i < 12 && (i < 2 || time.GetElapsedTime(begin) < TimeSpan.FromSeconds(1)); i++)
        {
            using var inner = TensorScope.Enter();
            var start = time.GetTimestamp();
            a.Matmul(a);
            var took = time.GetElapsedTime(start);
            if (i > 0 && took < best)
                best = took;
        }

        return 2d * MatrixSide * MatrixSide * MatrixSide / best.TotalSeconds / 1e9;
    }

    /// <summary>A libtorch with a bundled BLAS reports it; for the system's BLAS the loaded library is inspected.</summary>
    private static string BlasKind(string configuration)
    {
        if (LoadedLibraries.Find("libopenblas") is not null || LoadedLibraries.Find("openblas") is not null)
            return "OpenBLAS";
        if (LoadedLibraries.Find("libmkl") is not null || configuration.Contains("BLAS_INFO=mkl", StringComparison.OrdinalIgnoreCase))
            return "MKL";
        if (LoadedLibraries.Find("libblis") is not null)
            return "BLIS";
        if (LoadedLibraries.Find("libblas") is not null)
            return "reference BLAS";
        return configuration.Contains("BLAS_INFO=open", StringComparison.OrdinalIgnoreCase) ? "OpenBLAS" : "unknown";
    }
}
