namespace Retouch.Tests;

/// <summary>The emulation of blocks and threads finds planted mistakes in kernels.</summary>
[Collection(PretendedDevice.Collection)]
public sealed unsafe class KernelEmulationTests
{
    private const int Threads = 64;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_kernel_with_barriers_sums(bool descending) => Assert.Equal(Threads * (Threads + 1) / 2, Sum(false, descending));

    // In descending order each thread finds the sums that it needs complete.
    [Fact]
    public void A_missing_barrier_changes_the_result()
    {
        Assert.NotEqual(Threads * (Threads + 1) / 2, Sum(true, false));
        Assert.NotEqual(Sum(true, true), Sum(true, false));
    }

    [Fact]
    public void A_barrier_that_some_threads_do_not_reach_is_an_error() =>
        Assert.Contains("wait at a barrier", PretendedDevice.Launch("planted_divergence", [], []), StringComparison.Ordinal);

    [Fact]
    public void Wrong_arguments_are_an_error()
    {
        var value = 0L;
        var pointer = (nint)(&value);
        Assert.Contains("number of arguments", PretendedDevice.Launch("planted_sum", [pointer], [8]), StringComparison.Ordinal);
        Assert.Contains("type", PretendedDevice.Launch("planted_sum", [pointer, pointer], [8, 8]), StringComparison.Ordinal);
        Assert.Contains("no kernel", PretendedDevice.Launch("absent", [], []), StringComparison.Ordinal);
    }

    private static float Sum(bool broken, bool descending)
    {
        using var block = PretendedDevice.Threads(Threads, descending);
        var result = float.NaN;
        var (target, mistake) = ((nint)(&result), broken ? 1 : 0);
        Assert.Null(PretendedDevice.Launch("planted_sum", [(nint)(&target), (nint)(&mistake)], [8, 4]));
        return result;
    }
}
