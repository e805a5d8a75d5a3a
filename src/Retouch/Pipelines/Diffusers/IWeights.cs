using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>The weights of a component, from however many files.</summary>
public interface IWeights : ITensorSource, IDisposable
{
    /// <summary>The files that are open.</summary>
    IEnumerable<string> Files { get; }

    /// <summary>The element type stored under a key.</summary>
    DType DTypeOf(string name);
}
