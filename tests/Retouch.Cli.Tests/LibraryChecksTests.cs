using Retouch.Cli.Diagnosis;
using Retouch.Experiments.Machine;
using Retouch.Torch.Devices;

namespace Retouch.Cli.Tests;

/// <summary>The doctor's conclusions from properties of other machines.</summary>
public class LibraryChecksTests
{
    private static readonly TorchFacts Good = new(
        "1.13.0",
        "/n/libretouch_torch.so",
        "/l/libtorch_cpu.so.1.13.0",
        "OpenBLAS",
        500,
        Environment.ProcessorCount,
        "passive",
        true,
        new(false, 0, "libtorch 1.13.0 was built without CUDA", "Take another."),
        null,
        null
    );

    private static Check Of(TorchFacts facts, string name) => Assert.Single(LibraryChecks.Torch(facts, null), check => check.Name == name);

    [Fact]
    public void Valid_libraries_are_ok() =>
        Assert.All(
            LibraryChecks.Torch(Good, null).Where(check => check.Name != "GPU"),
            check => Assert.Equal((CheckState.Ok, null), (check.State, check.Remedy))
        );

    [Fact]
    public void The_communication_of_several_processes_is_stated()
    {
        Assert.Equal("Gloo and NCCL are compiled in", Of(Good, "Processes").Detail);
        var without = Good with { NcclReason = "the native library was compiled without NCCL" };
        Assert.Equal(CheckState.Ok, Of(without, "Processes").State);
        Assert.Contains("NCCL, for several GPUs, is not", Of(without, "Processes").Detail);
        var gpus = Of(without with { Cuda = new(true, 2, "", "") }, "Processes");
        Assert.Equal(CheckState.Slow, gpus.State);
        Assert.Equal("For NCCL: the native library was compiled without NCCL (docs/scaling.md).", gpus.Remedy);
        var alone = Of(Good with { GlooReason = "this libtorch was built without torch.distributed and Gloo" }, "Processes");
        Assert.Equal(CheckState.Slow, alone.State);
        Assert.Equal("For several processes: this libtorch was built without torch.distributed and Gloo.", alone.Remedy);
    }

    [Fact]
    public void Reference_blas_is_always_slow()
    {
        var check = Of(Good with { Blas = "reference BLAS" }, "BLAS");
        Assert.Equal(CheckState.Slow, check.State);
        Assert.Contains("libopenblas0", check.Remedy);
    }

    [Fact]
    public void An_optimised_blas_below_its_speed_is_slow() =>
        Assert.Equal(CheckState.Slow, Of(Good with { MatmulGflops = 1 }, "BLAS").State);

    [Theory]
    [InlineData("/l/libtorch_cpu.so.1.13.0", true)]
    [InlineData("/l/libtorch_cpu.so.1.13", true)]
    [InlineData("/l/libtorch_cpu.so.1.1", false)]
    [InlineData("/l/libtorch_cpu.so.2.0.1", false)]
    [InlineData("/l/libtorch_cpu.so", true)]
    public void A_libtorch_of_another_version_is_unusable(string loaded, bool usable) =>
        Assert.Equal(usable ? CheckState.Ok : CheckState.Missing, Of(Good with { Libtorch = loaded }, "libtorch").State);

    [Theory]
    [InlineData("1.13.0+cu117", true)]
    [InlineData("2.5.1+cu121", false)]
    public void The_version_of_a_libtorch_folder_is_read_from_its_file(string version, bool usable)
    {
        var folder = Directory.CreateTempSubdirectory("retouch-libtorch-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, "lib"));
            File.WriteAllText(Path.Combine(folder, "build-version"), version + "\n");
            Assert.Equal(
                usable ? CheckState.Ok : CheckState.Missing,
                Of(Good with { Libtorch = Path.Combine(folder, "lib", "libtorch_cpu.so") }, "libtorch").State
            );
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public void More_or_fewer_threads_than_cores_are_slow(int difference) =>
        Assert.Equal(CheckState.Slow, Of(Good with { Threads = Environment.ProcessorCount + difference }, "Threads").State);

    [Fact]
    public void A_gpu_is_shown_with_its_memory()
    {
        var facts = Good with { Cuda = new(true, 1, "", ""), CudaTotalBytes = 80L << 30, CudaFreeBytes = 79L << 30 };
        var check = Of(facts, "GPU");
        Assert.Equal(
            (CheckState.Ok, "1 usable, the first with 79.0 GiB free of 80.0 GiB, with compiled kernels"),
            (check.State, check.Detail)
        );
    }

    [Fact]
    public void A_CUDA_build_without_a_GPU_reports_the_reason()
    {
        var check = Of(Good with { Cuda = new(true, 0, "CUDA build of libtorch 2.6.0, no driver", "Install it.") }, "GPU");
        Assert.Equal((CheckState.Slow, "Install it."), (check.State, check.Remedy));
        Assert.Contains("CUDA build of libtorch 2.6.0, no driver", check.Detail);
    }

    [Theory]
    [InlineData(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue",
        true,
        "/usr/bin/nvidia-smi",
        "ok",
        "kernel module 550.54.15, libcuda.so.1 loads"
    )]
    [InlineData(null, false, null, "ok", "kernel module absent, libcuda.so.1 absent, nvidia-smi absent")]
    [InlineData(null, true, null, "slow", "kernel module absent, libcuda.so.1 loads")]
    [InlineData("NVRM version: 535.10", false, null, "slow", "kernel module 535.10, libcuda.so.1 absent")]
    public void The_driver_is_described_by_its_parts(string? module, bool library, string? tool, string state, string detail)
    {
        var check = GpuChecks.Driver(module, library, tool);
        Assert.Equal(state, check.State == CheckState.Ok ? "ok" : "slow");
        Assert.Contains(detail, check.Detail);
        Assert.Equal(state == "slow", check.Remedy is not null);
    }

    [Theory]
    [InlineData("PyTorch built with:\n  - GCC 11.2\n  - CUDA Runtime 12.4\n  - CuDNN 90.1", "12.4")]
    [InlineData("PyTorch built with:\n  - GCC 11.2\n  - OpenMP 201511", null)]
    public void The_CUDA_version_is_that_of_the_build(string configuration, string? version)
    {
        Assert.Equal(version, GpuChecks.BuildOf(configuration));
        Assert.Contains(version is null ? "without CUDA" : $"for CUDA {version}", Of(Good with { CudaBuild = version }, "CUDA").Detail);
    }

    [Theory]
    [InlineData(null, "1 usable, with compiled kernels")]
    [InlineData("no compiler", "replaced by separate operators: no compiler")]
    public void A_GPU_without_kernels_is_slow(string? failure, string detail)
    {
        var check = Of(Good with { Cuda = new CudaStatus(true, 1, "", ""), KernelFailure = failure }, "GPU");
        Assert.Equal(failure is null ? CheckState.Ok : CheckState.Slow, check.State);
        Assert.Contains(detail, check.Detail);
        Assert.Equal(failure is not null, check.Remedy is not null);
    }

    [Fact]
    public void An_untested_version_is_reported()
    {
        var check = Of(Good with { IsTested = false }, "libtorch");
        Assert.Equal(CheckState.Slow, check.State);
        Assert.Contains("not tested", check.Detail);
    }

    [Fact]
    public void A_missing_libtorch_is_one_line_with_the_reason()
    {
        var check = Assert.Single(LibraryChecks.Torch(null, "libc10.so.1.13: cannot open"));
        Assert.Equal((CheckState.Missing, "libc10.so.1.13: cannot open"), (check.State, check.Detail));
    }

    [Fact]
    public void A_libvips_without_a_loader_is_reported()
    {
        var check = LibraryChecks.Pictures(new("8.14.1", null, ["JPEG", "PNG", "TIFF"], ["WebP", "HEIC"]), null);
        Assert.Equal(CheckState.Slow, check.State);
        Assert.Contains("lacks WebP, HEIC", check.Detail);
    }

    [Fact]
    public void A_libvips_without_HEIC_is_complete()
    {
        var check = LibraryChecks.Pictures(new("8.18.7", "/n/libvips.so.42", ["JPEG", "AVIF"], ["HEIC"]), null);
        Assert.Equal((CheckState.Ok, null), (check.State, check.Remedy));
        Assert.Contains("lacks HEIC", check.Detail);
    }
}
