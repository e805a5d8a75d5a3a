using Retouch.Denoisers;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>Embeddings of timesteps and positions against their formulas.</summary>
public sealed class EmbeddingTests
{
    [Theory]
    [InlineData(true, 0.0)]
    [InlineData(false, 0.0)]
    [InlineData(true, 1.0)]
    public void Timesteps_are_embedded_as_sines_and_cosines(bool cosineFirst, double shift)
    {
        using var scope = TensorScope.Enter();
        var features = Sinusoid.Features(Tensor.From([0.0f, 3, 250.5f]), 32, cosineFirst, shift).ToArray<float>();
        var times = new[] { 0, 3, 250.5 };
        for (var row = 0; row < 3; row++)
        {
            for (var k = 0; k < 16; k++)
            {
                var angle = times[row] * Math.Pow(10000, -k / (16 - shift));
                Assert.Equal(Math.Cos(angle), features[(row * 32) + (cosineFirst ? k : k + 16)], 1e-4);
                Assert.Equal(Math.Sin(angle), features[(row * 32) + (cosineFirst ? k + 16 : k)], 1e-4);
            }
        }
    }

    [Fact]
    public void Position_embeddings_are_column_then_row()
    {
        using var scope = TensorScope.Enter();
        var table = PatchEmbedding.Positions(2, 3, 8, 3).ToArray<float>();
        // Token of row 1, column 2: rows cover the range of 3 in 2 steps of 1.5.
        Assert.Equal(
            [Sin(2), Sin(0.02), Cos(2), Cos(0.02), Sin(1.5), Sin(0.015), Cos(1.5), Cos(0.015)],
            table[40..48],
            static (a, b) => Math.Abs(a - b) < 1e-6
        );
        static float Sin(double v) => (float)Math.Sin(v);
        static float Cos(double v) => (float)Math.Cos(v);
    }

    [Fact]
    public void A_finer_grid_covers_the_same_range()
    {
        using var scope = TensorScope.Enter();
        var coarse = PatchEmbedding.Positions(4, 4, 16, 4).View([4L, 4, 16]);
        var fine = PatchEmbedding.Positions(8, 8, 16, 4).View([8L, 8, 16]);
        for (var row = 0; row < 4; row++)
        {
            for (var column = 0; column < 4; column++)
                Assert.Equal(
                    coarse.Select(0, row).Select(0, column).ToArray<float>(),
                    fine.Select(0, 2 * row).Select(0, 2 * column).ToArray<float>()
                );
        }
    }
}
