using Retouch.Core.Errors;
using Retouch.Evaluation.Pixels;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

/// <summary>SSIM against closed forms and against its definition, pixel by pixel.</summary>
public sealed class StructuralSimilarityTests
{
    [Fact]
    public void Equal_and_flat_pictures_give_the_closed_forms()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(2, 24, 1);
        Assert.All(StructuralSimilarity.Of(x, x), static s => TestTensors.Close(1, s, 1e-12));
        // Without contrast only the luminance term remains: (2ab + C1)/(a^2 + b^2 + C1).
        Tensor Flat(double level) => Ops.Full([1, 3, 16, 16], level, dtype: DType.Float64);
        TestTensors.Close(((2 * 0.2 * 0.7) + 1e-4) / (0.04 + 0.49 + 1e-4), StructuralSimilarity.Of(Flat(0.2), Flat(0.7))[0], 1e-12);
        // Inverting a picture about its mean preserves the variance and negates the covariance.
        var inside = StructuralSimilarity.Of(x, 1 - x);
        Assert.All(inside, static s => Assert.True(s < 0.2, $"{s}"));
    }

    [Fact]
    public void It_equals_the_definition_pixel_by_pixel()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(1, 19, 1);
        var y = TestTensors.Blurred(x, 3);
        TestTensors.Close(Definition(x.ToArray<double>(), y.ToArray<double>(), 19), StructuralSimilarity.Of(x, y)[0], 1e-12);
    }

    [Fact]
    public void Pictures_below_the_window_are_rejected()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(1, 8, 1);
        Assert.Contains("11 x 11", Assert.Throws<UsageException>(() => StructuralSimilarity.Of(x, x)).Message, StringComparison.Ordinal);
    }

    private static double Definition(double[] x, double[] y, int side)
    {
        double Grey(double[] picture, int row, int column)
        {
            double At(int c) => picture[(((c * side) + row) * side) + column];
            return (0.299 * At(0)) + (0.587 * At(1)) + (0.114 * At(2));
        }

        var weights = new double[11, 11];
        var total = 0.0;
        for (var r = 0; r < 11; r++)
        {
            for (var c = 0; c < 11; c++)
                total += weights[r, c] = Math.Exp(-(((r - 5) * (r - 5)) + ((c - 5) * (c - 5))) / 4.5);
        }

        double sum = 0;
        var places = 0;
        for (var top = 0; top <= side - 11; top++)
        {
            for (var left = 0; left <= side - 11; left++, places++)
            {
                double mx = 0,
                    my = 0,
                    vx = 0,
                    vy = 0,
                    cov = 0;
                void Each(Action<double, double, double> action)
                {
                    for (var r = 0; r < 11; r++)
                    {
                        for (var c = 0; c < 11; c++)
                            action(weights[r, c] / total, Grey(x, top + r, left + c), Grey(y, top + r, left + c));
                    }
                }

                Each((w, p, q) => (mx, my) = (mx + (w * p), my + (w * q)));
                Each(
                    (w, p, q) =>
                        (vx, vy, cov) = (vx + (w * (p - mx) * (p - mx)), vy + (w * (q - my) * (q - my)), cov + (w * (p - mx) * (q - my)))
                );
                sum += ((2 * mx * my) + 1e-4) * ((2 * cov) + 9e-4) / (((mx * mx) + (my * my) + 1e-4) * (vx + vy + 9e-4));
            }
        }

        return sum / places;
    }
}
