namespace Retouch.Torch.Tests;

public sealed class AutogradTests
{
    [Fact]
    public void Backward_accumulates_in_leaves_and_grad_does_not()
    {
        using var scope = TensorScope.Enter();
        var x = Tensor.From([1.0, 2, 3]);
        x.RequiresGrad = true;
        var y = (x * x * x).Sum();
        var found = Autograd.Grad([y], [x], retainGraph: true)[0]!;
        Assert.Equal([3.0, 12, 27], found.ToArray<double>());
        Assert.Null(x.Grad);
        Autograd.Backward(y);
        Assert.Equal([3.0, 12, 27], x.Grad!.ToArray<double>());
        x.Grad = null;
        Assert.Null(x.Grad);
    }

    [Fact]
    public void No_grad_records_nothing_and_restores_the_mode()
    {
        using var scope = TensorScope.Enter();
        var x = Tensor.From([1.0]);
        x.RequiresGrad = true;
        using (Autograd.NoGrad())
        {
            Assert.False((x * 2).RequiresGrad);
            using (Autograd.WithGrad())
                Assert.True((x * 2).RequiresGrad);
            Assert.False(Autograd.IsEnabled);
        }

        Assert.True((x * 2).RequiresGrad);
    }

    [Fact]
    public void A_custom_function_uses_its_backward()
    {
        var before = Tensor.LiveCount;
        var released = 0;
        using (TensorScope.Enter())
        {
            var x = Tensor.From([2.0, 3]);
            x.RequiresGrad = true;
            Tensor plain;
            using (Autograd.NoGrad())
                plain = x * 10;
            // A deliberately wrong derivative, which shows that it is used.
            var y = Autograd.Function([x], [plain], static g => [g[0]! * 7], () => released++)[0];
            Assert.True(y.RequiresGrad);
            Autograd.Backward((y * y).Sum());
            Assert.Equal([7 * 2 * 20.0, 7 * 2 * 30.0], x.Grad!.ToArray<double>());
        }

        Assert.Equal(1, released);
        Assert.Equal(before, Tensor.LiveCount);
    }

    [Fact]
    public void Exceptions_of_a_managed_backward_reach_the_caller()
    {
        using var scope = TensorScope.Enter();
        var x = Tensor.From([2.0]);
        x.RequiresGrad = true;
        var y = Autograd.Function([x], [x.Detach() * 1], static _ => throw new Core.Errors.InputException("planted"))[0];
        var error = Assert.Throws<Core.Errors.InputException>(() => Autograd.Backward(y.Sum()));
        Assert.Equal("planted", error.Message);
    }

    [Fact]
    public void Activation_checkpointing_preserves_values_and_gradients_bitwise()
    {
        var before = Tensor.LiveCount;
        using (TensorScope.Enter())
        {
            using var generator = Generator.Create(Device.Cpu, 3);
            var w = Ops.Randn([8L, 8], generator);
            var x = Ops.Randn([4L, 8], generator);
            w.RequiresGrad = true;
            x.RequiresGrad = true;
            Tensor[] Body(IReadOnlyList<Tensor> t) => [t[0].Matmul(w).Silu().Matmul(w).Tanh()];
            var plain = Body([x])[0];
            var expected = Autograd.Grad([plain.Square().Sum()], [x, w]);
            var checkpointed = Autograd.Checkpoint(Body, [x], [w])[0];
            Assert.Equal(plain.ToArray<float>(), checkpointed.ToArray<float>());
            var actual = Autograd.Grad([checkpointed.Square().Sum()], [x, w]);
            for (var k = 0; k < 2; k++)
                Assert.Equal(expected[k]!.ToArray<float>(), actual[k]!.ToArray<float>());
            Autograd.Backward(Autograd.Checkpoint(Body, [x], [w])[0].Square().Sum());
            Assert.Equal(expected[1]!.ToArray<float>(), w.Grad!.ToArray<float>());
        }

        Assert.Equal(before, Tensor.LiveCount);
    }
}
