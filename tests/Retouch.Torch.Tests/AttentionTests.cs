using Retouch.Torch.Nn;

namespace Retouch.Torch.Tests;

/// <summary>Chunked attention against full attention, values and gradients.</summary>
public sealed class AttentionTests
{
    public static TheoryData<long[], long, long[]?, long> Cases =>
        new()
        {
            // A row has 4 bytes (8 in float64) per source: chunks of one row, several tokens, one head, several heads, one sample.
            { [2, 3, 7, 4], 7, null, 1 },
            { [2, 3, 7, 4], 5, [2, 1, 1, 5], 100 },
            { [1, 3, 7, 4], 6, [1, 3, 7, 6], 7 * 6 * 8 },
            { [2, 5, 4, 3], 4, [4, 4], 2 * 4 * 4 * 8 },
            { [3, 2, 4, 3], 9, [1, 2, 1, 9], 1 << 20 },
        };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Chunked_attention_equals_the_full_computation(long[] shape, long sources, long[]? mask, long bytes)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        foreach (var (dtype, tolerance) in new[] { (DType.Float64, 1e-14), (DType.Float32, 4e-6) })
        {
            Tensor Leaf(long tokens)
            {
                var leaf = Ops.Randn([shape[0], shape[1], tokens, shape[3]], generator).To(dtype);
                leaf.RequiresGrad = true;
                return leaf;
            }

            Tensor[] inputs = [Leaf(shape[2]), Leaf(sources), Leaf(sources)];
            var added = mask is null ? null : Ops.Randn(mask, generator).To(dtype);
            var cotangent = Ops.Randn(shape, generator).To(dtype);
            var (parts, whole) = (
                Attention.InParts(inputs[0], inputs[1], inputs[2], added, bytes),
                Attention.AtOnce(inputs[0], inputs[1], inputs[2], added)
            );
            Close(whole, parts, tolerance);
            var (found, expected) = (Autograd.Grad([parts], inputs, [cotangent]), Autograd.Grad([whole], inputs, [cotangent]));
            for (var k = 0; k < inputs.Length; k++)
                Close(expected[k]!, found[k]!, tolerance);
            using (Autograd.NoGrad())
                Close(whole, Attention.InParts(inputs[0], inputs[1], inputs[2], added, bytes), tolerance);
        }
    }

    [Fact]
    public void Inputs_without_gradients_get_none()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        Tensor[] inputs = [Ops.Randn([1, 2, 6, 4], generator), Ops.Randn([1, 2, 6, 4], generator), Ops.Randn([1, 2, 6, 4], generator)];
        Assert.False(Attention.InParts(inputs[0], inputs[1], inputs[2], null, 50).RequiresGrad);
        inputs[1].RequiresGrad = true;
        var output = Attention.InParts(inputs[0], inputs[1], inputs[2], null, 50);
        Assert.True(output.RequiresGrad);
        Close(
            Autograd.Grad([Attention.AtOnce(inputs[0], inputs[1], inputs[2], null).Sum()], [inputs[1]])[0]!,
            Autograd.Grad([output.Sum()], [inputs[1]])[0]!,
            4e-6
        );
    }

    [Fact]
    public void It_works_with_recomputation_and_mixed_precision()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 5);
        var x = Ops.Randn([2, 2, 6, 4], generator);
        x.RequiresGrad = true;
        Tensor Gradient(Func<Tensor, Tensor> attention) =>
            Autograd.Grad([Autograd.Checkpoint(y => [attention(y[0]).Square()], [x], [])[0].To(DType.Float32).Sum()], [x])[0]!;
        Close(Gradient(static y => Attention.AtOnce(y, y, y, null)), Gradient(static y => Attention.InParts(y, y, y, null, 60)), 4e-6);
        using var mixed = Autocast.Enter(Device.Cpu, DType.BFloat16);
        Close(Gradient(static y => Attention.AtOnce(y, y, y, null)), Gradient(static y => Attention.InParts(y, y, y, null, 60)), 0.02);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_large_score_matrix_is_never_stored_completely()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        // 400 MiB of scores, in 16 MiB parts.
        var x = Ops.Randn([1, 1, 10240, 32], generator);
        using var blocks = BlocksInUse.Watch();
        var output = Attention.ScaledDotProduct(x, x, x);
        Assert.Equal([1, 1, 10240, 32], output.Shape);
        // At least the output is counted; newer libraries need little more.
        Assert.InRange(blocks.Peak, 10240 * 32 * sizeof(float), 6 * Attention.PartBytes);
    }

    private static void Close(Tensor expected, Tensor actual, double tolerance) =>
        Assert.InRange((expected.Detach() - actual.Detach()).Abs().Max().Item(), 0, tolerance * (1 + expected.Detach().Abs().Max().Item()));
}
