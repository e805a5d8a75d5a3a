using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch.Tests.Devices;

public sealed unsafe class ArithmeticTests
{
    [Fact]
    public void Operators_without_a_deterministic_algorithm_fail_on_request()
    {
        using var scope = TensorScope.Enter();
        Put();
        Arithmetic.Use(tf32: false, deterministic: true);
        try
        {
            var error = Assert.Throws<TorchException>(Put);
            Assert.Contains("does not have a deterministic implementation", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            Arithmetic.Use(tf32: false, deterministic: false);
        }

        Put();
    }

    /// <summary>Writes to elements by index, which has no defined order for equal indices.</summary>
    private static void Put()
    {
        var arguments = stackalloc Value[4]
        {
            Value.Of(Ops.Zeros([4])),
            Value.Of(Tensor.From([1L, 1])),
            Value.Of(Tensor.From([2f, 3])),
            Value.Of(false),
        };
        Value result;
        new OperatorHandle("aten::put_", "").Invoke(arguments, 4, &result, 1);
        result.Discard();
    }
}
