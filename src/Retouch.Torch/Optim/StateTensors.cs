using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>What optimisers and averages carry from step to step.</summary>
internal static class StateTensors
{
    /// <summary>Copies tensors of a checkpoint into those of the same key.</summary>
    public static void CopyFrom(this IEnumerable<KeyValuePair<string, Tensor>> tensors, ITensorSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        using var quiet = Autograd.NoGrad();
        foreach (var (name, tensor) in tensors)
        {
            using var scope = TensorScope.Enter();
            tensor.CopyInPlace(source.Read(name));
        }
    }
}
