using Retouch.Arena.Statistics;

namespace Retouch.Arena.Tests.Statistics;

/// <summary>Alpha against the worked examples of Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).</summary>
public class KrippendorffAlphaTests
{
    private static IEnumerable<IReadOnlyList<int>> Units(params string[] raters) =>
        Enumerable.Range(0, raters[0].Length).Select(u => raters.Select(r => r[u]).Where(c => c != '.').Select(c => (int)c).ToList());

    [Fact]
    public void ExampleA_TwoRatersTwoCategories() =>
        Assert.Equal(0.095, KrippendorffAlpha.Nominal(Units("0100000010", "1110010000"))!.Value, 3);

    [Fact]
    public void ExampleB_TwoRatersFiveCategories() =>
        Assert.Equal(0.692, KrippendorffAlpha.Nominal(Units("aabbdcccedda", "babbbcccedd" + "d"))!.Value, 3);

    [Fact]
    public void ExampleC_FourRatersWithGaps() =>
        Assert.Equal(0.743, KrippendorffAlpha.Nominal(Units("123321412...", "1233224125.3", ".3332342251.", "12332441251."))!.Value, 3);

    [Fact]
    public void FullAgreement_IsOne() =>
        Assert.Equal(
            1,
            KrippendorffAlpha.Nominal([
                [1, 1],
                [2, 2, 2],
                [1, 1],
            ])
        );

    [Fact]
    public void SystematicDisagreement_IsBelowZero() =>
        Assert.Equal(
            -0.5,
            KrippendorffAlpha
                .Nominal([
                    [1, 2],
                    [2, 1],
                ])!
                .Value,
            12
        );

    [Fact]
    public void NothingToCompare_IsUnknown()
    {
        Assert.Null(KrippendorffAlpha.Nominal([]));
        Assert.Null(
            KrippendorffAlpha.Nominal([
                [1],
                [2],
            ])
        );
        Assert.Null(
            KrippendorffAlpha.Nominal([
                [1, 1],
                [1, 1, 1],
            ])
        );
    }
}
