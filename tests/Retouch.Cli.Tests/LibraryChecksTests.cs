using Retouch.Cli.Diagnosis;
using Retouch.Experiments.Machine;

namespace Retouch.Cli.Tests;

/// <summary>What the doctor makes of facts that this machine may not offer.</summary>
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
    public void Good_facts_are_ok() =>
        Assert.All(
            LibraryChecks.Torch(Good, null).Where(check => check.Name != "GPU"),
            check => Assert.Equal((CheckState.Ok, null), (check.State, check.Remedy))
        );

    [Fact]
    public void Reference_blas_is_slow_however_fast_it_seems()
    {
        var check = Of(Good with { Blas = "reference BLAS" }, "BLAS");
        Assert.Equal(CheckState.Slow, check.State);
        Assert.Contains("libopenblas0", check.Remedy);
    }

    [Fact]
    public void A_fast_blas_that_is_slow_is_slow() => Assert.Equal(CheckState.Slow, Of(Good with { MatmulGflops = 1 }, "BLAS").State);

    [Theory]
    [InlineData("/l/libtorch_cpu.so.1.13.0", true)]
    [InlineData("/l/libtorch_cpu.so.1.13", true)]
    [InlineData("/l/libtorch_cpu.so.1.1", false)]
    [InlineData("/l/libtorch_cpu.so.2.0.1", false)]
    [InlineData("/l/libtorch_cpu.so", true)]
    public void Another_libtorch_than_built_for_is_unusable(string loaded, bool usable) =>
        Assert.Equal(usable ? CheckState.Ok : CheckState.Missing, Of(Good with { Libtorch = loaded }, "libtorch").State);

    [Theory]
    [InlineData("1.13.0+cu117", true)]
    [InlineData("2.5.1+cu121", false)]
    public void A_folder_of_libtorch_says_its_version_in_a_file(string version, bool usable)
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
        Assert.Equal((CheckState.Ok, "1 usable, the first with 79.0 GiB free of 80.0 GiB"), (check.State, check.Detail));
    }

    [Fact]
    public void A_build_for_cuda_that_finds_no_card_says_why()
    {
        var check = Of(Good with { Cuda = new(true, 0, "CUDA build of libtorch 2.6.0, no driver", "Install it.") }, "GPU");
        Assert.Equal((CheckState.Slow, "Install it."), (check.State, check.Remedy));
        Assert.Contains("CUDA build of libtorch 2.6.0, no driver", check.Detail);
    }

    [Fact]
    public void A_version_that_was_not_tested_is_said()
    {
        var check = Of(Good with { IsTested = false }, "libtorch");
        Assert.Equal(CheckState.Slow, check.State);
        Assert.Contains("not tested", check.Detail);
    }

    [Fact]
    public void No_libtorch_is_one_missing_line_with_the_reason()
    {
        var check = Assert.Single(LibraryChecks.Torch(null, "libc10.so.1.13: cannot open"));
        Assert.Equal((CheckState.Missing, "libc10.so.1.13: cannot open"), (check.State, check.Detail));
    }

    [Fact]
    public void A_vips_without_a_loader_is_named()
    {
        var check = LibraryChecks.Pictures(new("8.14.1", "/n/l.so", null, ["JPEG", "PNG", "TIFF"], ["WebP"]), null);
        Assert.Equal(CheckState.Slow, check.State);
        Assert.Contains("lacks WebP", check.Detail);
    }
}
