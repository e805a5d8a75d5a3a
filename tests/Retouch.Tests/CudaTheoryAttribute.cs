using Retouch.Torch.Devices;
using Xunit.Sdk;

namespace Retouch.Tests;

/// <summary>
/// A test that needs an NVIDIA card, and is skipped with that reason where there is none. Select them by <c>needs=cuda</c>.
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
