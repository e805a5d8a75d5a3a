using Retouch.Core.Errors;
using Retouch.Torch.Devices;

namespace Retouch.Torch.Tests.Devices;

public sealed class CudaStatusTests
{
    [Theory]
    [InlineData(false, 0, -1, false, "libtorch 2.6.0 was built without CUDA", "./retouch --cuda")]
    [InlineData(false, 0, -1, true, "libtorch 2.6.0 was built without CUDA, though an NVIDIA driver is installed", "./retouch --cuda")]
    [InlineData(true, 0, 35, false, "CUDA build of libtorch 2.6.0, no driver", "Install NVIDIA's driver")]
    [InlineData(true, 0, 100, false, "CUDA build of libtorch 2.6.0, no driver", "Install NVIDIA's driver")]
    [InlineData(true, 0, 35, true, "the NVIDIA driver is too old for its CUDA (words)", "Update the driver")]
    [InlineData(true, 0, 100, true, "with a driver, but no GPU (words)", "nvidia-smi")]
    [InlineData(true, 0, 999, true, "the CUDA runtime fails: words (error 999)", "reboot")]
    [InlineData(true, 2, 0, true, "CUDA build of libtorch 2.6.0, 2 GPUs", "cuda:0 to cuda:1")]
    public void The_reason_for_an_unusable_GPU_is_reported(bool built, int devices, int code, bool driver, string reason, string remedy)
    {
        var status = CudaStatus.Describe(built, devices, code, "words", "2.6.0", driver);
        Assert.Contains(reason, status.Reason, StringComparison.Ordinal);
        Assert.Contains(remedy, status.Remedy, StringComparison.Ordinal);
        Assert.Equal((built, devices), (status.IsBuilt, status.Devices));
    }

    [Fact]
    public void Auto_is_the_first_GPU_or_the_CPU() =>
        Assert.Equal(CudaStatus.Read().Devices > 0 ? Device.Cuda() : Device.Cpu, Device.Parse(Device.Auto));

    [Fact]
    public void An_unavailable_device_is_an_environment_error_with_a_remedy()
    {
        Assert.Equal(Device.Cpu, Device.Cpu.Require());
        var status = CudaStatus.Read();
        var absent = Device.Cuda(status.Devices);
        var error = Assert.Throws<EnvironmentException>(() => absent.Require());
        Assert.Equal($"There is no device {absent}: {status.Reason}. {status.Remedy}", error.Message);
        Assert.Equal(4, error.ExitCode);
        Assert.Throws<TorchException>(() => absent.Synchronize());
        Assert.Throws<TorchException>(() => DeviceMemory.Of(absent));
        Assert.Null(DeviceMemory.Of(Device.Cpu));
        DeviceMemory.ReleaseCache();
    }
}
