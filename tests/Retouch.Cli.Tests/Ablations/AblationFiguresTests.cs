using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Ablations;

namespace Retouch.Cli.Tests.Ablations;

/// <summary>The decisive figure is found under its measured name.</summary>
public sealed class AblationFiguresTests
{
    [Theory]
    [InlineData("fd", "fd.squeezenet")]
    [InlineData("fd.squeezenet", "fd.squeezenet")]
    [InlineData("fwd", "fwd")] // overall, not the first band
    [InlineData("precision", "precision.squeezenet")]
    [InlineData("kd", "kd")] // not measured, so that no row has it
    public void A_network_is_part_of_the_measured_name(string wanted, string measured) =>
        Assert.Equal(measured, AblationFigures.Decisive(wanted, [Row("fwd.low", "fwd", "fd.squeezenet", "precision.squeezenet")]));

    private static AblationRow Row(params string[] names) =>
        new(
            "arm",
            [1],
            [.. names.Select(static n => new AblationFigure(n, Preference.Lower, new SeedEstimate(1, new Interval(1, 1), null, [1])))]
        );
}
