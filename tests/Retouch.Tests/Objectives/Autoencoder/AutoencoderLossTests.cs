using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Objectives.Autoencoder;
using Retouch.Torch;

namespace Retouch.Tests.Objectives.Autoencoder;

/// <summary>Training of autoencoders: each term by hand, and the gradient against finite differences.</summary>
public sealed class AutoencoderLossTests
{
    [Theory]
    [InlineData(ReconstructionError.L1, 0.5)]
    [InlineData(ReconstructionError.L2, 0.25)]
    public void Terms_equal_their_formulas(ReconstructionError error, double reconstruction)
    {
        using var scope = TensorScope.Enter();
        var images = Ops.Zeros([2L, 3, 16, 16]);
        var decoded = Ops.Full([2L, 3, 16, 16], 0.5, dtype: DType.Float32);
        // KL of N(2, 1) to N(0, 1) is 2²/2 per element; half of the elements have it.
        var mean = Tensor.From([2f, 2, 0, 0, 2, 2, 0, 0], 2, 4, 1, 1);
        var options = new AutoencoderLossOptions
        {
            Reconstruction = error,
            KlWeight = 0.1,
            PyramidWeight = 2,
            PyramidLevels = 2,
        };
        var terms = new AutoencoderLoss(options).Evaluate(images, decoded, new Posterior(mean, Ops.ZerosLike(mean)));
        Assert.Equal(["reconstruction", "kl", "pyramid"], terms.Terms.Select(static t => t.Name));
        Assert.Equal(reconstruction, terms.Terms[0].Raw, 6);
        Assert.Equal(1, terms.Terms[1].Raw, 6);
        Assert.Equal(0.1, terms.Terms[1].Weighted, 6);
        // A constant is in the last of two bands only.
        Assert.Equal(0.25, terms.Terms[2].Raw, 6);
        Assert.Equal(0.5, terms.Terms[2].Weighted, 6);
        Assert.Equal(reconstruction + 0.1 + 0.5, terms.Total.Item(), 5);
        Assert.Equal(1, terms.Terms.Sum(static t => t.Share), 6);
        Assert.Equal(10 * Math.Log10(4 / 0.25), terms.Health["reconstruction/psnr"], 4);
    }

    [Fact]
    public void A_weight_of_zero_disables_the_pyramid()
    {
        using var scope = TensorScope.Enter();
        var zero = Ops.Zeros([1L, 4, 1, 1]);
        var terms = new AutoencoderLoss(new AutoencoderLossOptions()).Evaluate(
            Ops.Zeros([1L, 3, 2, 2]),
            Ops.Ones([1L, 3, 2, 2]),
            new Posterior(zero, zero)
        );
        Assert.Equal(["reconstruction", "kl"], terms.Terms.Select(static t => t.Name));
        Assert.Equal(1, terms.Total.Item(), 6);
    }

    [Theory]
    [InlineData(16, 16)]
    [InlineData(17, 22)]
    public void Bands_separate_shading_from_texture(int height, int width)
    {
        using var scope = TensorScope.Enter();
        var shading = Ops.Full([1, 1, height, width], 0.3, dtype: DType.Float32);
        Assert.Equal(0.3 / 3, LaplacianPyramid.Distance(shading, 3).Item(), 6);
        // The finest checkerboard vanishes in the first reduction: it is entirely in the first band.
        var checks = Tensor.From(
            Enumerable.Range(0, height * width).Select(k => (k / width) % 2 == k % width % 2 ? 0.3f : -0.3f).ToArray(),
            1,
            1,
            height,
            width
        );
        var interior = LaplacianPyramid.Distance(checks, 3).Item();
        Assert.InRange(interior, 0.3 / 3, 0.3 / 3 * 1.35);
    }

    [Fact]
    public void A_gradient_has_no_fine_bands_except_at_the_border()
    {
        using var scope = TensorScope.Enter();
        const int Side = 64;
        var slope = Tensor.From(Enumerable.Range(0, Side * Side).Select(static k => (float)(k % Side)).ToArray(), 1, 1, Side, Side);
        var fine = (LaplacianPyramid.Distance(slope, 2).Item() * 2) - slope.Abs().Mean().Item();
        // With a misplacement of half a pixel, every pixel of the band would be 0.5.
        Assert.InRange(fine, -0.1, 0.1);
    }

    [Fact]
    public void Levels_fit_the_picture()
    {
        using var scope = TensorScope.Enter();
        Assert.Equal(
            [4, 3, 1, 1],
            new[] { 64, 32, 8, 33 }.Select(static side => LaplacianPyramid.DefaultLevels(Ops.Zeros([1, 3, side, side])))
        );
        Assert.Equal(0, LaplacianPyramid.Distance(Ops.Zeros([1L, 3, 8, 8]), 4).Item());
        Assert.Contains(
            "fewer",
            Assert.Throws<InputException>(static () => LaplacianPyramid.Distance(Ops.Zeros([1L, 3, 8, 8]), 5)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void The_gradient_equals_finite_differences()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var images = Ops.Randn([1L, 2, 9, 8], generator).To(DType.Float64);
        var decoded = Ops.Randn([1L, 2, 9, 8], generator).To(DType.Float64);
        var mean = Ops.Randn([1L, 2, 2, 2], generator).To(DType.Float64);
        var variance = Ops.Randn([1L, 2, 2, 2], generator).To(DType.Float64);
        Tensor[] inputs = [decoded, mean, variance];
        var loss = new AutoencoderLoss(
            new AutoencoderLossOptions
            {
                Reconstruction = ReconstructionError.L2,
                KlWeight = 0.3,
                PyramidWeight = 0.7,
                PyramidLevels = 3,
            }
        );
        foreach (var input in inputs)
            input.RequiresGrad = true;
        Tensor Total() => loss.Evaluate(images, decoded, new Posterior(mean, variance)).Total;
        var gradients = Autograd.Grad([Total()], inputs);
        for (var t = 0; t < inputs.Length; t++)
            FiniteDifferences.Check(inputs[t], gradients[t]!.ToArray<double>(), () => Total().Item());
    }
}
