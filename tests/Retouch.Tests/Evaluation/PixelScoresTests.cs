using Retouch.Evaluation.Pixels;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

public sealed class PixelScoresTests
{
    [Fact]
    public void A_checkerboard_has_the_variance_of_eight_times_its_contrast()
    {
        using var scope = TensorScope.Enter();
        var pixels = new double[3 * 10 * 10];
        for (var i = 0; i < pixels.Length; i++)
            pixels[i] = (100 + (20 * ((i + (i / 10 % 10)) % 2 == 0 ? 1 : -1))) / 255.0;
        // The Laplacian of ±20 alternating is ∓160 everywhere.
        TestTensors.Close(160 * 160, PixelScores.Sharpness(Tensor.From(pixels, 1, 3, 10, 10))[0], 1e-6);
    }

    [Fact]
    public void A_parabola_has_no_variance_and_blur_lowers_it()
    {
        using var scope = TensorScope.Enter();
        var pixels = new double[3 * 12 * 12];
        for (var i = 0; i < pixels.Length; i++)
            pixels[i] = Math.Pow(i % 12, 2) / 255;
        TestTensors.Close(0, PixelScores.Sharpness(Tensor.From(pixels, 1, 3, 12, 12))[0], 1e-9);

        var x = TestTensors.Pictures(8, 32, 2);
        Assert.All(
            PixelScores.Sharpness(x).Zip(PixelScores.Sharpness(TestTensors.Blurred(x, 3))),
            pair => Assert.True(pair.Second < 0.5 * pair.First)
        );
    }

    [Fact]
    public void Saturation_is_the_chroma_of_a_colour_and_zero_for_grey()
    {
        using var scope = TensorScope.Enter();
        var pixels = new double[2, 3, 2];
        double[] orange = [0.9, 0.5, 0.1];
        for (var c = 0; c < 3; c++)
        {
            (pixels[0, c, 0], pixels[0, c, 1]) = (orange[c], 0.4);
            (pixels[1, c, 0], pixels[1, c, 1]) = (0.2, 0.7);
        }

        double[] flat = [.. pixels.Cast<double>()];
        var saturation = PixelScores.Saturation(Tensor.From(flat, 2, 3, 1, 2));
        TestTensors.Close(0.4, saturation[0], 1e-12);
        TestTensors.Close(0, saturation[1], 1e-12);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(51)]
    public void An_offset_has_the_closed_form(int levels)
    {
        using var scope = TensorScope.Enter();
        var x = Ops.Full([2, 3, 4, 5], 0.5, dtype: DType.Float64);
        var error = PixelScores.SquaredError(x + (levels / 255.0), x);
        Assert.All(error, e => TestTensors.Close(levels * levels, e, 1e-6));
        TestTensors.Close(20 * Math.Log10(255.0 / levels), PixelScores.Psnr(error[0]), 1e-6);
        Assert.Equal(PixelScores.MostPsnr, PixelScores.Psnr(PixelScores.SquaredError(x, x)[0]));
    }
}
