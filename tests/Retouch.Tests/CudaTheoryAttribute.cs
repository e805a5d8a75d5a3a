using Retouch.Torch.Devices;
using Xunit.Sdk;

namespace Retouch.Tests;

/// <summary>
/// Test that needs an NVIDIA GPU, and is skipped with a reason otherwise. Select such tests by <c>needs=cuda</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, "Retouch.Tests")]
public sealed class CudaTheoryAttribute : TheoryAttribute, ITraitAttribute
{
    public string Needs => "cuda";

    public CudaTheoryAttribute()
    {
        if (CudaStatus.Read() is { Devices: 0, Reason: var reason })
            Skip = $"no CUDA: {reason}";
    }
}
