using Retouch.Core.Errors;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch.Tests.Interop;

/// <summary>
/// No exception crosses between native and managed code but in the form that is meant for it, and nothing leaks on the way.
/// </summary>
public sealed unsafe class NativeWallTests
{
    [Fact]
    public void A_tensor_of_more_dimensions_than_the_struct_holds_is_refused_rather_than_read_past_it()
    {
        using var scope = TensorScope.Enter();
        var sixteen = Ops.Ones([1]).Expand(Enumerable.Repeat(1L, 16).ToArray());
        Assert.Equal(16, sixteen.Dim);
        var seventeen = sixteen.Unsqueeze(0);
        Assert.Contains("17 dimensions", Assert.Throws<TorchException>(() => seventeen.Shape).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("OutOfMemoryError", typeof(OutOfDeviceMemoryException))]
    [InlineData("bad_alloc", typeof(OutOfDeviceMemoryException))]
    [InlineData("number", typeof(TorchException))]
    public void Every_kind_of_native_exception_arrives_as_what_it_means(string kind, Type expected) =>
        Assert.IsType(expected, Record.Exception(() => Plant(kind)));

    [Fact]
    public void A_result_that_nobody_understands_frees_those_before_it()
    {
        using var kept = BlocksInUse.Watch();
        var error = Assert.Throws<TorchException>(() => Plant("result"));
        Assert.Contains("is not known to this shim", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, kept.Added);
    }

    [Fact]
    public void What_a_backward_function_keeps_goes_with_the_backward_pass_not_with_the_result()
    {
        using var scope = TensorScope.Enter();
        var released = 0;
        var y = Identity(Leaf(), static g => g, () => released++);
        var loss = y.Sum();
        Autograd.Backward(loss, retainGraph: true);
        Assert.Equal(0, released);
        Autograd.Backward(loss);
        Assert.Equal(1, released);
        var again = Assert.Throws<TorchException>(() => Autograd.Backward(loss));
        Assert.Contains("second time", again.Message, StringComparison.Ordinal);
        y.Dispose();
        Assert.Equal(1, released);
    }

    [Fact]
    public void Without_a_backward_pass_it_goes_with_the_graph()
    {
        var released = 0;
        using (TensorScope.Enter())
        {
            Identity(Leaf(), static g => g, () => released++);
            Assert.Equal(0, released);
        }

        Assert.Equal(1, released);
    }

    [Fact]
    public void A_release_function_that_throws_during_backward_fails_the_backward()
    {
        using var scope = TensorScope.Enter();
        var y = Identity(Leaf(), static g => g, static () => throw new InputException("planted in release"));
        Assert.Equal("planted in release", Assert.Throws<InputException>(() => Autograd.Backward(y.Sum())).Message);
    }

    [Fact]
    public void A_release_function_that_throws_where_nothing_can_be_thrown_fails_the_next_call()
    {
        using var scope = TensorScope.Enter();
        var number = 0f;
        var memory = Tensor.Over(&number, [1], DType.Float32, static () => throw new InputException("planted in release"));
        memory.Dispose();
        Assert.Equal("planted in release", Assert.Throws<InputException>(() => Ops.Ones([1])).Message);
        Assert.Equal(1, Ops.Ones([1]).Item());
    }

    [Fact]
    public void Memory_of_others_is_given_back_once_where_no_tensor_comes_to_be()
    {
        var released = 0;
        var number = 0f;
        var pointer = &number;
        Assert.Throws<TorchException>(() => Tensor.Over(pointer, [-1], DType.Float32, () => released++));
        Assert.Equal(1, released);
    }

    [Fact]
    public void A_backward_function_with_too_few_gradients_says_so()
    {
        using var scope = TensorScope.Enter();
        var (a, b) = (Leaf(), Leaf());
        var y = Autograd.Function([a, b], [a.Detach() * 1], static g => [g[0]])[0];
        Assert.Contains(
            "1 gradients for 2",
            Assert.Throws<TorchException>(() => Autograd.Backward(y.Sum())).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Two_threads_that_fail_at_once_get_each_its_own_exception()
    {
        const int Rounds = 200;
        using var together = new Barrier(2);
        var wrong = 0;
        void Fail(string name)
        {
            for (var k = 0; k < Rounds; k++)
            {
                using var scope = TensorScope.Enter();
                var y = Identity(Leaf(), _ => throw new InputException(name), null);
                together.SignalAndWait();
                if (Record.Exception(() => Autograd.Backward(y.Sum())) is not InputException e || e.Message != name)
                    Interlocked.Increment(ref wrong);
            }
        }

        var threads = new[] { "first", "second" }.Select(name => new Thread(() => Fail(name))).ToArray();
        Array.ForEach(threads, static t => t.Start());
        Array.ForEach(threads, static t => t.Join());
        Assert.Equal(0, wrong);
    }

    [Fact]
    public void A_failure_inside_a_pass_inside_a_pass_keeps_its_kind()
    {
        using var scope = TensorScope.Enter();
        var x = Leaf();
        Tensor[] Body(IReadOnlyList<Tensor> t) => [Identity(t[0], static _ => throw new OperationCanceledException("planted"), null)];
        var y = Autograd.Checkpoint(Body, [x], [])[0];
        Assert.Equal("planted", Assert.Throws<OperationCanceledException>(() => Autograd.Backward(y.Sum())).Message);
    }

    private static void Plant(string kind)
    {
        var bytes = Value.Utf8(kind, out var length);
        var results = stackalloc Value[2];
        fixed (byte* text = bytes)
        {
            var argument = Value.OfText(kind, text, length);
            new OperatorHandle("retouch::planted_failure", "").Invoke(&argument, 1, results, 2);
        }
    }

    private static Tensor Leaf()
    {
        var x = Tensor.From([2.0]);
        x.RequiresGrad = true;
        return x;
    }

    private static Tensor Identity(Tensor x, Func<Tensor?, Tensor?> backward, Action? released) =>
        Autograd.Function([x], [x.Detach() * 1], g => [backward(g[0])], released)[0];
}
