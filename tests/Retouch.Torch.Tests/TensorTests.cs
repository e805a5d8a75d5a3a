namespace Retouch.Torch.Tests;

public sealed class TensorTests
{
    [Fact]
    public void Arithmetic_follows_the_operators_of_libtorch()
    {
        using var scope = TensorScope.Enter();
        var a = Tensor.From([1f, 2, 3, 4], 2, 2);
        var b = Tensor.From([10f, 20, 30, 40], 2, 2);
        Assert.Equal([11f, 22, 33, 44], (a + b).ToArray<float>());
        Assert.Equal([-1f, 0, 1, 2], (a - 2).ToArray<float>());
        Assert.Equal([1f, 0, -1, -2], (2 - a).ToArray<float>());
        Assert.Equal([70f, 100, 150, 220], a.Matmul(b).ToArray<float>());
        Assert.Equal([3f, 7], a.Sum([1L]).ToArray<float>());
        Assert.Equal(10, a.Sum().Item());
        Assert.Equal([2L, 2], a.Shape);
    }

    [Fact]
    public void Lists_defaults_and_several_results_are_marshalled()
    {
        using var scope = TensorScope.Enter();
        var x = Tensor.From(Enumerable.Range(0, 16).Select(static k => (float)k).ToArray(), 1, 1, 4, 4);
        Assert.Equal([1L, 1, 2, 2], x.MaxPool2d([2L, 2]).Shape);
        Assert.Equal([1L, 1, 4, 4], x.MaxPool2d([3L, 3], [1L, 1], [1L, 1]).Shape);
        Assert.Equal([5f, 7, 13, 15], x.MaxPool2d([2L, 2]).ToArray<float>());
        var (values, indices) = x.Flatten().Kthvalue(3);
        Assert.Equal(2, values.Item());
        Assert.Equal(2, indices.Item());
        Assert.Equal(4, x.Chunk(4, 2).Length);
        Assert.Equal([1L, 2, 4, 4], Ops.Cat([x, x], 1).Shape);
        Assert.Equal([1L, 1, 8, 8], x.UpsampleNearest2d([8L, 8]).Shape);
        Assert.Equal(DType.BFloat16, x.To(DType.BFloat16).DType);
    }

    [Fact]
    public void A_default_element_type_is_that_of_the_schema()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 1);
        Assert.Equal(DType.Int64, Ops.Randint(0, 10, [4], generator).DType);
        Assert.Equal(DType.Int64, Ops.Randperm(4, generator).DType);
        Assert.Equal(DType.Float32, Ops.Rand([4], generator).DType);
    }

    [Fact]
    public void A_scope_frees_all_tensors_not_kept()
    {
        var before = Tensor.LiveCount;
        Tensor kept;
        using (var scope = TensorScope.Enter())
        {
            var a = Tensor.From([1f, 2]);
            kept = scope.Keep(a + a);
            _ = kept * 3;
        }

        Assert.Equal(before + 1, Tensor.LiveCount);
        Assert.Equal([2f, 4], kept.ToArray<float>());
        kept.Dispose();
        Assert.Equal(before, Tensor.LiveCount);
        Assert.Throws<ObjectDisposedException>(() => kept.ToArray<float>());
    }

    [Fact]
    public void A_kept_tensor_passes_through_every_scope()
    {
        var before = Tensor.LiveCount;
        using (var outer = TensorScope.Enter())
        {
            Tensor result;
            using (var inner = TensorScope.Enter())
                result = inner.Keep(Tensor.From([5f]));
            Assert.Equal(5, result.Item());
            Assert.Equal(1, outer.Count);
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Fact]
    public void Scopes_end_innermost_first()
    {
        using var outer = TensorScope.Enter();
        var inner = TensorScope.Enter();
        Assert.Throws<InvalidOperationException>(outer.Dispose);
        inner.Dispose();
    }

    [Fact]
    public void A_failed_call_names_the_operator_and_the_reason()
    {
        using var scope = TensorScope.Enter();
        var error = Assert.Throws<TorchException>(() => Tensor.From([1f, 2]).Add(Tensor.From([1f, 2, 3])));
        Assert.Contains("aten::add", error.Message, StringComparison.Ordinal);
        Assert.Contains("must match the size", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_operator_is_named_with_the_version()
    {
        Assert.False(TorchRuntime.HasOperator("aten::does_not_exist"));
        Assert.True(TorchRuntime.HasOperator("aten::add", "Tensor"));
    }

    [Fact]
    public void A_seed_or_state_reproduces_the_random_numbers()
    {
        using var scope = TensorScope.Enter();
        using var a = Generator.Create(Device.Cpu, 7);
        using var b = Generator.Create(Device.Cpu, 7);
        Assert.Equal(Ops.Randn([5L], a).ToArray<float>(), Ops.Randn([5L], b).ToArray<float>());
        var state = a.GetState();
        var next = Ops.Randn([5L], a).ToArray<float>();
        b.SetState(state);
        Assert.Equal(next, Ops.Randn([5L], b).ToArray<float>());
        a.Reseed(8);
        Assert.NotEqual(next, Ops.Randn([5L], a).ToArray<float>());
    }

    [Fact]
    public unsafe void Borrowed_memory_is_released_once_with_its_last_tensor()
    {
        var released = 0;
        var memory = stackalloc float[] { 1, 2, 3 };
        var tensor = Tensor.Over(memory, [3], DType.Float32, () => released++);
        var view = tensor.View([3L, 1]);
        tensor.Dispose();
        Assert.Equal(0, released);
        Assert.Equal([1f, 2, 3], view.ToArray<float>());
        view.Dispose();
        Assert.Equal(1, released);
    }
}
