using Retouch.Arena.Statistics;

namespace Retouch.Arena.Tests.Statistics;

/// <summary>Alpha against the worked examples of Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).</summary>
public class KrippendorffAlphaTests
{
    private static IEnumerable<IReadOnlyList<int>> Units(params string[] raters) =>
        Enumerable.Range(0, raters[0].Length).Select(u => raters.Select(r => r[u]).Where(c => c != '.').Select(c => (int)c).ToList());

    [Fact]
    public void Example_a_two_raters_two_categories() =>
        Assert.Equal(0.095, KrippendorffAlpha.Nominal(Units("0100000010", "1110010000"))!.Value, 3);

    [Fact]
    public void Example_b_two_raters_five_categories() =>
        Assert.Equal(0.692, KrippendorffAlpha.Nominal(Units("aabbdcccedda", "babbbcccedd" + "d"))!.Value, 3);

    [Fact]
    public void Example_c_four_raters_with_gaps() =>
        Assert.Equal(0.743, KrippendorffAlpha.Nominal(Units("123321412...", "1233224125.3", ".3332342251.", "12332441251."))!.Value, 3);

    [Fact]
    public void Full_agreement_is_one() =>
        Assert.Equal(
            1,
            KrippendorffAlpha.Nominal([
                [1, 1],
                [2, 2, 2],
                [1, 1],
            ])
        );

    [Fact]
    public void Systematic_disagreement_is_negative() =>
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
    public void Alpha_is_undefined_without_comparable_ratings()
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
