using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>What a network's configuration is read from where a file has none.</summary>
internal static class TensorSizes
{
    /// <summary>One size of a tensor.</summary>
    /// <param name="source">The file.</param>
    /// <param name="name">The tensor's key.</param>
    /// <param name="dimension">Which size, from 0.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">There is no such tensor, or it has no such size.</exception>
    public static int Size(this ITensorSource source, string name, int dimension, string origin) =>
        source.Names.Contains(name) && source.ShapeOf(name) is var shape && shape.Length > dimension && shape[dimension] <= int.MaxValue
            ? (int)shape[dimension]
            : throw new InputException($"'{origin}' has no usable tensor '{name}'.");
}
