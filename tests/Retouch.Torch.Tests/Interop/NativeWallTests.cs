using Retouch.Core.Errors;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch.Tests.Interop;

/// <summary>
/// Exceptions cross the native boundary only in their intended form, without leaks.
/// </summary>
public sealed unsafe class NativeWallTests
{
    [Fact]
    public void A_tensor_with_too_many_dimensions_is_rejected()
    {
        using var scope = TensorScope.Enter();
        var sixteen = Ops.Ones([1]).Expand(Enumerable.Repeat(1L, 16).ToArray());
        Assert.Equal(16, sixteen.Dim);
        var seventeen = sixteen.Unsqueeze(0);
        Assert.Contains("17 dimensions", Assert.Throws<TorchException>(() => seventeen.Shape).Message, StringComparison.Ordinal);
    }

    // Libraries that libtorch loads may install signal handlers, as UCX does in Debian 13.
    [Fact]
    public void A_null_reference_is_an_exception_after_libtorch_is_loaded()
    {
        Assert.NotEmpty(TorchRuntime.Version);
        string? missing = null;
        Assert.Throws<NullReferenceException>(() => missing!.Length);
    }

    [Theory]
    [InlineData("OutOfMemoryError", typeof(OutOfDeviceMemoryException))]
    [InlineData("bad_alloc", typeof(OutOfDeviceMemoryException))]
    [InlineData("number", typeof(TorchException))]
    public void Native_exceptions_are_mapped_by_type(string kind, Type expected) =>
        Assert.IsType(expected, Record.Exception(() => Plant(kind)));

    // The planted operator fails with its type of result after the repetition.
    [Theory]
    [InlineData("future_error")]
    [InlineData("bad_array_new_length")]
    public void An_operator_whose_primitive_was_not_created_is_repeated(string kind)
    {
        using var scope = TensorScope.Enter();
        var (x, weight) = (Ops.Ones([2, 8]).To(DType.BFloat16), Ops.Ones([4, 8]).To(DType.BFloat16));
        var before = Ops.Linear(x, weight, null).To(DType.Float32).ToArray<float>();
        var error = Assert.Throws<TorchException>(() => Plant(kind));
        Assert.Contains("is not known to this shim", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, Ops.Linear(x, weight, null).To(DType.Float32).ToArray<float>());
    }

    [Fact]
    public void An_unsupported_result_frees_the_previous_ones()
    {
        using var kept = BlocksInUse.Watch();
        var error = Assert.Throws<TorchException>(() => Plant("result"));
        Assert.Contains("is not known to this shim", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, kept.Added);
    }

    [Fact]
    public void Saved_tensors_are_freed_by_the_backward_pass()
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
    public void Saved_tensors_are_freed_with_the_graph()
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
    public void An_exception_in_a_release_during_backward_fails_the_backward()
    {
        using var scope = TensorScope.Enter();
        var y = Identity(Leaf(), static g => g, static () => throw new InputException("planted in release"));
        Assert.Equal("planted in release", Assert.Throws<InputException>(() => Autograd.Backward(y.Sum())).Message);
    }

    [Fact]
    public void An_exception_in_a_release_elsewhere_fails_the_next_call()
    {
        using var scope = TensorScope.Enter();
        var number = 0f;
        var memory = Tensor.Over(&number, [1], DType.Float32, static () => throw new InputException("planted in release"));
        memory.Dispose();
        Assert.Equal("planted in release", Assert.Throws<InputException>(() => Ops.Ones([1])).Message);
        Assert.Equal(1, Ops.Ones([1]).Item());
    }

    [Fact]
    public void External_memory_is_released_once_if_no_tensor_is_created()
    {
        var released = 0;
        var number = 0f;
        var pointer = &number;
        Assert.Throws<TorchException>(() => Tensor.Over(pointer, [-1], DType.Float32, () => released++));
        Assert.Equal(1, released);
    }

    [Fact]
    public void A_backward_function_with_too_few_gradients_is_an_error()
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
    public void Concurrent_failures_keep_their_own_exceptions()
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
    public void A_failure_in_a_nested_pass_keeps_its_type()
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
