namespace Retouch.Torch.Nn;

/// <summary>
/// Storage of a network, usually a frozen one: the weights of linear and convolution layers in a narrower type than its other tensors.
/// Under <see cref="Autocast"/> in that type, results equal those of float32 weights, which are converted in every call; outside, each
/// layer's weight is converted to the type of its input during the call.
/// </summary>
/// <param name="Type">Type of the weights; null for the stored type, if it is float16 or bfloat16.</param>
public sealed record NarrowLayers(DType? Type = null)
{
    /// <summary>Prefixes of the keys of narrow weights; empty for all.</summary>
    public IReadOnlyList<string> Prefixes { get; init; } = [];

    /// <summary>Whether the weights are trained, so that those of the file are out of date.</summary>
    public bool IsTrained { get; init; }

    /// <summary>Type in which a tensor is kept.</summary>
    /// <param name="parameter">The tensor.</param>
    /// <param name="stored">Its type in the checkpoint.</param>
    /// <param name="otherwise">Its type in a network without narrow layers.</param>
    internal DType Of(Parameter parameter, DType stored, DType otherwise)
    {
        var chosen =
            parameter.IsAdaptable && (Prefixes.Count == 0 || Prefixes.Any(p => parameter.Name.StartsWith(p, StringComparison.Ordinal)));
        if (!chosen || otherwise != DType.Float32)
            return otherwise;
        return Type ?? (stored is DType.Float16 or DType.BFloat16 ? stored : otherwise);
    }
}
