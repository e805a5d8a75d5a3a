using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>Gradients against central differences, in float64.</summary>
internal static class FiniteDifferences
{
    /// <summary>Asserts that a gradient equals central differences, to a millionth of its largest element.</summary>
    /// <param name="x">Perturbed tensor, restored afterwards.</param>
    /// <param name="gradient">Gradient at <paramref name="x"/>.</param>
    /// <param name="value">Function of the current <paramref name="x"/>.</param>
    /// <param name="stride">Stride over the checked elements.</param>
    public static void Check(Tensor x, double[] gradient, Func<double> value, int stride = 1)
    {
        const double H = 1e-6;
        var scale = gradient.Max(Math.Abs);
        Assert.True(scale > 0, "The gradient is zero everywhere.");
        using var quiet = Autograd.NoGrad();
        using var moved = x.Detach();
        for (var k = 0; k < gradient.Length; k += stride)
        {
            var start = moved.Span<double>()[k];
            double At(double at)
            {
                using var scope = TensorScope.Enter();
                moved.Span<double>()[k] = at;
                return value();
            }

            var difference = (At(start + H) - At(start - H)) / (2 * H);
            moved.Span<double>()[k] = start;
            Assert.True(
                Math.Abs(difference - gradient[k]) <= 1e-6 * scale,
                $"Element {k}: gradient {gradient[k]:R}, difference {difference:R}, largest {scale:R}."
            );
        }
    }
}
