namespace Retouch.Torch.Tests;

public sealed class AutocastTests
{
    [Fact]
    public void Products_use_the_compute_type_until_the_scope_ends()
    {
        using var scope = TensorScope.Enter();
        using (Autocast.Enter(Device.Cpu, DType.BFloat16))
            Assert.Equal(DType.BFloat16, Product());
        Assert.Equal(DType.Float32, Product());
    }

    [Fact]
    public void The_end_of_a_scope_restores_the_outer_mode()
    {
        using var scope = TensorScope.Enter();
        using var outer = Autocast.Enter(Device.Cpu, DType.BFloat16);
        using (Autocast.Enter(Device.Cpu, DType.Float32))
        {
            Assert.Equal(DType.Float32, Product());
            Assert.Null(Autocast.Current);
        }

        Assert.Equal((Device.Cpu, DType.BFloat16), Autocast.Current);
        Assert.Equal(DType.BFloat16, Product());
        using (Autocast.Suspend())
        {
            Assert.Equal(DType.Float32, Product());
            Assert.Null(Autocast.Suspend());
        }

        Assert.Equal(DType.BFloat16, Product());
        using (var inner = Autocast.Enter(Device.Cpu, DType.BFloat16))
            inner.Dispose();
        Assert.Equal(DType.BFloat16, Product());
    }

    [Fact]
    public void Recomputation_uses_the_mode_of_the_first_pass()
    {
        using var scope = TensorScope.Enter();
        var x = Ops.Ones([4, 4]);
        x.RequiresGrad = true;
        var seen = new List<DType>();
        Tensor[] Body(IReadOnlyList<Tensor> t)
        {
            var y = t[0].Matmul(t[0]);
            seen.Add(y.DType);
            return [y];
        }

        var plain = Autograd.Checkpoint(Body, [x], [])[0].Sum();
        using (Autocast.Enter(Device.Cpu, DType.BFloat16))
            Autograd.Backward(plain);
        Assert.Equal([DType.Float32, DType.Float32], seen);
        seen.Clear();
        Tensor mixed;
        using (Autocast.Enter(Device.Cpu, DType.BFloat16))
            mixed = Autograd.Checkpoint(Body, [x], [])[0].To(DType.Float32).Sum();
        Autograd.Backward(mixed);
        Assert.Equal([DType.BFloat16, DType.BFloat16], seen);
    }

    private static DType Product()
    {
        using var scope = TensorScope.Enter();
        var a = Ops.Ones([4, 4]);
        return a.Matmul(a).DType;
    }
}
