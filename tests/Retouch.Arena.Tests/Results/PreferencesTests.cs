using Retouch.Arena.Results;

namespace Retouch.Arena.Tests.Results;

/// <summary>Conversion of verdicts to preferences; contradictions are excluded.</summary>
public class PreferencesTests
{
    private static ItemResult Verdict(string first, string second, string verdict, string item = "item") =>
        new("appeal", item, "a pear", first, second, 0, 0, 0, verdict);

    private static string Own(string model, string item) => model + item;

    [Fact]
    public void Losers_of_one_winner_are_merged()
    {
        var (kept, contradictions) = Preferences.Of(
            [Verdict("a", "c", "first"), Verdict("a", "b", "first"), Verdict("b", "c", "tie"), Verdict("b", "d", "short")],
            Own
        );
        var preference = Assert.Single(kept);
        Assert.Equal(("item", "a pear", "a"), (preference.Item, preference.Caption, preference.Winner));
        Assert.Equal(["b", "c"], preference.Losers);
        Assert.Empty(contradictions);
    }

    [Fact]
    public void A_preference_cycle_is_excluded_and_reported()
    {
        var (kept, contradictions) = Preferences.Of(
            [
                Verdict("a", "b", "first"),
                Verdict("b", "c", "first"),
                Verdict("a", "c", "second"),
                Verdict("a", "d", "first"),
                Verdict("a", "b", "second", "other"),
            ],
            Own
        );
        Assert.Equal("item: cycle, a beats b, b beats c, c beats a", Assert.Single(contradictions));
        Assert.Equal([("item", "a", "d"), ("other", "b", "a")], kept.Select(static p => (p.Item, p.Winner, Assert.Single(p.Losers))));
    }

    [Fact]
    public void A_preference_between_equal_files_is_reported()
    {
        var (kept, contradictions) = Preferences.Of([Verdict("a", "b", "first")], static (_, _) => "same");
        Assert.Empty(kept);
        Assert.Contains("the files are identical", Assert.Single(contradictions));
    }

    [Theory]
    [InlineData(3, 1, 1, "first")]
    [InlineData(1, 1, 3, "second")]
    [InlineData(2, 2, 1, "tie")] // no majority
    [InlineData(2, 1, 2, "tie")]
    [InlineData(0, 5, 0, "tie")]
    [InlineData(4, 0, 0, "short")]
    [InlineData(3, 0, 3, "tie")]
    [InlineData(4, 0, 3, "first")]
    public void A_verdict_is_what_more_than_half_say(int forFirst, int ties, int forSecond, string verdict) =>
        Assert.Equal(verdict, ItemResult.Decide(forFirst, ties, forSecond, needed: 5));
}
