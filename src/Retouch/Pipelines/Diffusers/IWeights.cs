using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.Diffusers;

/// <summary>Weights of a component, from one or more files.</summary>
public interface IWeights : ITensorSource, IDisposable
{
    /// <summary>Open files.</summary>
    IEnumerable<string> Files { get; }

    /// <summary>Stored element type of a key.</summary>
    DType DTypeOf(string name);
}
