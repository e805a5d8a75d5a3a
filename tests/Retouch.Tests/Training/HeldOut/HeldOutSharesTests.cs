using Retouch.Objectives;
using Retouch.Training.HeldOut;

namespace Retouch.Tests.Training.HeldOut;

/// <summary>Division of a validation among processes.</summary>
public sealed class HeldOutSharesTests
{
    [Theory]
    [InlineData(4, 7, 1, 28)]
    [InlineData(4, 7, 2, 16)] // 4 batches of one process in 4 parts
    [InlineData(4, 1, 2, 2)] // one batch: the parts are divided
    [InlineData(1, 2, 4, 1)]
    [InlineData(3, 8, 4, 6)]
    public void Every_pass_is_done_once(int parts, int chunks, int size, int rounds)
    {
        var division = HeldOutShares.Of(parts, chunks, size);
        Assert.Equal(rounds, division.Count);
        Assert.All(division, r => Assert.Equal(size, r.Length));
        Assert.Equal(
            Enumerable.Range(0, parts).SelectMany(p => Enumerable.Range(0, chunks).Select(c => (p, c))),
            division.SelectMany(static r => r).OfType<(int, int)>().Order()
        );
        // A process has a batch in all parts, and encodes it once.
        if (chunks >= size)
            Assert.All(
                Enumerable.Range(0, chunks),
                c =>
                    Assert.Single(
                        division.SelectMany(static r => r.Index()).Where(p => p.Item?.Chunk == c).Select(static p => p.Index).Distinct()
                    )
            );
    }

    [Fact]
    public void Passes_of_a_part_are_summed()
    {
        static HeldOutPass Pass(int part, double sum) =>
            new(part, 0, new Dictionary<string, HealthFigure> { ["latent"] = new(HealthKind.Ratio, sum, 2) });
        var sums = HeldOutShares.Sum(2, [Pass(0, 1), Pass(1, 5), Pass(0, 2)]);
        Assert.Equal([new(HealthKind.Ratio, 3, 4), new(HealthKind.Ratio, 5, 2)], sums.Select(static s => s["latent"]));
    }
}
