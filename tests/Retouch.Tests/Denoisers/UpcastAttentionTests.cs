using Retouch.Denoisers;
using Retouch.Denoisers.UNet;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Denoisers;

/// <summary>
/// <c>upcast_attention</c> under autocast, with scores whose difference bfloat16 rounds away: 300 and 301 are 300 and 302 (or 300) there.
/// </summary>
public sealed class UpcastAttentionTests
{
    // softmax(300, 301)
    private static readonly double Second = 1 / (1 + Math.Exp(-1));

    // The output projection rounds to eight bits.
    private static readonly double Rounding = Second / 256;

    [Fact]
    public void Scores_are_float32_under_autocast()
    {
        using var scope = TensorScope.Enter();
        var query = Tensor.From([1f, 0], 1, 1, 1, 2);
        var key = Tensor.From([(float)(300 * Math.Sqrt(2)), 0, (float)(301 * Math.Sqrt(2)), 0], 1, 1, 2, 2);
        var value = Tensor.From([0f, 0, 1, 1], 1, 1, 2, 2);
        using var cast = Autocast.Enter(Device.Cpu, DType.BFloat16);
        var wide = Attention.ScaledDotProductWide(query, key, value);
        Assert.Equal(DType.Float32, wide.DType);
        Assert.Equal(Second, wide.ToArray<float>()[0], 1e-4);
        // Fused kernels keep scores in float32.
        if (!TorchRuntime.HasOperator("aten::scaled_dot_product_attention"))
            Assert.True(Math.Abs(Attention.ScaledDotProduct(query, key, value).To(DType.Float32).ToArray<float>()[0] - Second) > 0.1);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void A_unet_honours_it(bool upcast, bool byMask)
    {
        using var scope = TensorScope.Enter();
        var store = new ParameterStore();
        var attention = new UNetAttention(store.Root, 2, 2, 1, upcast);
        var error = Error(store, (x, mask) => attention.Forward(x, x, mask), byMask);
        if (upcast)
            Assert.InRange(error, 0, Rounding);
        else if (!TorchRuntime.HasOperator("aten::scaled_dot_product_attention"))
            // Fused kernels keep scores in float32.
            Assert.True(error > 0.1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_transformer_honours_it(bool byMask)
    {
        using var scope = TensorScope.Enter();
        var store = new ParameterStore();
        var attention = new MultiHeadAttention(store.Root, 1, 2, bias: false, upcast: true);
        Assert.InRange(Error(store, (x, mask) => attention.Forward(x, x, mask), byMask), 0, Rounding);
    }

    /// <summary>
    /// Difference of the second token's weight from the closed form. Scores are 424/√2 and 424/√2 + 1, by keys in bfloat16, or 300 and 301,
    /// by the mask; values are 0 and 1.
    /// </summary>
    private static double Error(ParameterStore store, Func<Tensor, Tensor, Tensor> attend, bool byMask)
    {
        using var generator = Generator.Create(Device.Cpu, 1);
        store.Initialise(generator, Device.Cpu);
        using var quiet = Autograd.NoGrad();
        foreach (var parameter in store.All)
        {
            float[] weight = parameter.Name switch
            {
                "to_q.weight" => [1, 0, 1, 0],
                "to_k.weight" => byMask ? [0, 0, 0, 0] : [424, 0, 0, (float)Math.Sqrt(2)],
                "to_v.weight" => [0, 1, 0, 1],
                "to_out.0.weight" => [1, 0, 0, 1],
                _ => [0, 0],
            };
            parameter.Value.CopyInPlace(Tensor.From(weight, parameter.Shape));
        }

        var x = Tensor.From([1f, 0, 1, 1], 1, 2, 2);
        var mask = Tensor.From(byMask ? new[] { 300f, 301 } : new float[2], 1, 1, 1, 2);
        using var cast = Autocast.Enter(Device.Cpu, DType.BFloat16);
        return Math.Abs(attend(x, mask).To(DType.Float32).ToArray<float>()[0] - Second);
    }
}
