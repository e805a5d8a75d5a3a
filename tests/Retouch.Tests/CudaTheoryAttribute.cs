using Retouch.Torch.Devices;

namespace Retouch.Tests;

/// <summary>
/// A test that needs an NVIDIA card, and is skipped with that reason where there is none. Select them by <c>needs=cuda</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaTheoryAttribute : TheoryAttribute
{
    public CudaTheoryAttribute()
    {
        if (CudaStatus.Read() is { Devices: 0, Reason: var reason })
            Skip = $"no CUDA: {reason}";
    }
}
