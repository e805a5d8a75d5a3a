using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>Tensor sizes, for deriving configurations of files without one.</summary>
internal static class TensorSizes
{
    /// <summary>Size of one dimension of a tensor.</summary>
    /// <param name="source">The file.</param>
    /// <param name="name">Key of the tensor.</param>
    /// <param name="dimension">Dimension, from 0.</param>
    /// <param name="origin">File name for messages.</param>
    /// <exception cref="InputException">The tensor or the dimension does not exist.</exception>
    public static int Size(this ITensorSource source, string name, int dimension, string origin) =>
        source.Names.Contains(name) && source.ShapeOf(name) is var shape && shape.Length > dimension && shape[dimension] <= int.MaxValue
            ? (int)shape[dimension]
            : throw new InputException($"'{origin}' has no usable tensor '{name}'.");
}
