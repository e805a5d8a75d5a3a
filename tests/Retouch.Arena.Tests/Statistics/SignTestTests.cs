using Retouch.Arena.Statistics;

namespace Retouch.Arena.Tests.Statistics;

/// <summary>The sign test against enumeration of all outcomes and tabulated values.</summary>
public class SignTestTests
{
    [Fact]
    public void P_value_is_the_share_of_outcomes_at_least_as_extreme()
    {
        for (var n = 0; n <= 14; n++)
        {
            for (var wins = 0; wins <= n; wins++)
            {
                // All sequences of n fair decisions.
                var extreme = Enumerable.Range(0, 1 << n).Count(bits => Math.Abs(2 * int.PopCount(bits) - n) >= Math.Abs(2 * wins - n));
                Assert.Equal(extreme / (double)(1 << n), SignTest.TwoSided(wins, n - wins), 1e-12);
            }
        }
    }

    [Theory]
    [InlineData(9, 1, 0.021484375)] // 22 / 1024
    [InlineData(15, 5, 0.04138946533203125)] // 2 · 21700 / 2^20
    [InlineData(0, 0, 1)]
    [InlineData(7, 7, 1)]
    public void P_value_of_known_cases(int wins, int losses, double expected) =>
        Assert.Equal(expected, SignTest.TwoSided(wins, losses), 12);

    [Fact]
    public void P_value_of_thousands_neither_underflows_nor_loses_digits()
    {
        Assert.Equal(SignTest.TwoSided(5100, 4900), SignTest.TwoSided(4900, 5100), 15);
        // The normal approximation with continuity correction: z = 199 / 100.
        Assert.Equal(0.04659, SignTest.TwoSided(5100, 4900), 4);
        Assert.InRange(SignTest.TwoSided(3000, 0), 0, double.Epsilon);
    }
}
