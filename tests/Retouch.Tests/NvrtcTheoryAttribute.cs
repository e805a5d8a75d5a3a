using Retouch.Torch.Devices;
using Xunit.Sdk;

namespace Retouch.Tests;

/// <summary>
/// Test that needs CUDA's compiler library but no GPU, and is skipped with a reason otherwise. Select such tests by <c>needs=nvrtc</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, "Retouch.Tests")]
public sealed class NvrtcTheoryAttribute : TheoryAttribute, ITraitAttribute
{
    public string Needs => "nvrtc";

    public NvrtcTheoryAttribute()
    {
        if (!DeviceKernels.CanCompile)
            Skip = "no NVRTC";
    }
}
