using Retouch.Core.Errors;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Statistics;

namespace Retouch.Tests.Evaluation;

public sealed class VerdictTests
{
    [Theory]
    [InlineData(0, -5, Preference.Lower, false, Verdict.Undecided)]
    [InlineData(-1, -5, Preference.None, false, Verdict.Undecided)]
    [InlineData(-1, -5, Preference.Lower, false, Verdict.Better)]
    [InlineData(-1, -5, Preference.Higher, false, Verdict.Worse)]
    [InlineData(1, 5, Preference.Lower, false, Verdict.Worse)]
    [InlineData(1, 5, Preference.Higher, false, Verdict.Better)]
    [InlineData(1, 2, Preference.Higher, false, Verdict.Better)]
    [InlineData(1, 1.99, Preference.Higher, false, Verdict.Negligible)]
    [InlineData(-1, -1.99, Preference.Higher, false, Verdict.Negligible)]
    [InlineData(-1, -50, Preference.Lower, true, Verdict.Void)]
    public void A_verdict_requires_significance_and_size(int side, double difference, Preference better, bool isVoid, Verdict expected) =>
        // Two hundredths of a baseline of 100, on either side of 0.
        Assert.Equal(
            (expected, expected),
            (VerdictRule.Of(side, difference, 100, better, 0.02, isVoid), VerdictRule.Of(side, difference, -100, better, 0.02, isVoid))
        );

    [Theory]
    [InlineData(-0.01)]
    [InlineData(1)]
    [InlineData(double.NaN)]
    public void A_share_out_of_range_is_rejected(double smallest) =>
        Assert.Throws<UsageException>(() => new EvaluationOptions { SmallestDifference = smallest }.Validate());
}
