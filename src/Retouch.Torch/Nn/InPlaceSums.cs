namespace Retouch.Torch.Nn;

/// <summary>Sums that reuse the memory of their first operand, for residual connections.</summary>
public static class InPlaceSums
{
    /// <summary>Adds in place and returns <paramref name="sum"/>.</summary>
    /// <param name="sum">A new tensor whose value autograd has not saved.</param>
    /// <param name="addend">A tensor that broadcasts to the shape of <paramref name="sum"/>.</param>
    public static Tensor PlusInPlace(this Tensor sum, Tensor addend)
    {
        ArgumentNullException.ThrowIfNull(sum);
        sum.AddInPlace(addend);
        return sum;
    }
}
