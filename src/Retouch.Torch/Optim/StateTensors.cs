using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>State tensors of optimisers and averages.</summary>
internal static class StateTensors
{
    /// <summary>Copies checkpoint tensors into the tensors with the same keys.</summary>
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
