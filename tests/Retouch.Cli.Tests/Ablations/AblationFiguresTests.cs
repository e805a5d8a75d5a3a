using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Ablations;

namespace Retouch.Cli.Tests.Ablations;

/// <summary>The figure that decides is found under the name that it was measured by.</summary>
public sealed class AblationFiguresTests
{
    [Theory]
    [InlineData("fd", "fd.squeezenet")]
    [InlineData("fd.squeezenet", "fd.squeezenet")]
    [InlineData("fwd", "fwd")] // the whole, not the first of its bands
    [InlineData("precision", "precision.squeezenet")]
    [InlineData("kd", "kd")] // was not measured: then no row has it
    public void A_network_is_part_of_the_measured_name(string wanted, string measured) =>
        Assert.Equal(measured, AblationFigures.Decisive(wanted, [Row("fwd.low", "fwd", "fd.squeezenet", "precision.squeezenet")]));

    private static AblationRow Row(params string[] names) =>
        new(
            "arm",
            [1],
            [.. names.Select(static n => new AblationFigure(n, Preference.Lower, new SeedEstimate(1, new Interval(1, 1), null, [1])))]
        );
}
