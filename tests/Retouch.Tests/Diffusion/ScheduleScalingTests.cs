using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Tests.Diffusion;

public sealed class ScheduleScalingTests
{
    [Theory]
    [InlineData("eps", 2)]
    [InlineData("v", 0.5)]
    [InlineData("sample", 3)]
    [InlineData("cosine v", 2)]
    [InlineData("zero-snr v", 2)]
    [InlineData("flow", 2)]
    public void Every_sigma_is_multiplied_after_a_round_trip(string name, double factor)
    {
        var before = FormulationTests.Create(name);
        var scaled = ScheduleScaling.Scale(before, factor);
        var written = FormulationFactory.ToSchedulerConfig(scaled, FormulationFactory.ToSchedulerConfig(before));
        var read = FormulationFactory.FromSchedulerConfig(JsonNode.Parse(written.ToJsonString())!.AsObject());
        foreach (var after in new[] { scaled, read })
        {
            Assert.Equal(before.GetType(), after.GetType());
            for (var k = 0; k < 1000; k += 37)
            {
                // A flow's network receives the timestep of the new noise level, a DDPM network the original timestep.
                double time = before is FlowFormulation ? 1000 * FlowFormulation.ShiftTime(k / 1000.0, factor) : k;
                var (expected, found) = (factor * before.PointAt(k).Sigma, after.PointAt(time).Sigma);
                // β is float32, and its rounding accumulates over the steps; with almost no remaining signal, 1 − ᾱ has no significant
                // digits.
                if (expected < 200)
                    Assert.InRange(found, expected * (1 - 2e-4), expected * (1 + 2e-4));
            }
        }

        if (before is DdpmFormulation { Schedule.ZeroTerminalSnr: true })
            Assert.Equal(0, scaled.PointAt(999).A);
        Assert.Equal(before.TrainSteps, scaled.TrainSteps);
    }

    [Fact]
    public void The_shift_of_a_flow_is_that_of_Esser_et_al()
    {
        // Equation 23 with √(m/n) = 2: the midpoint moves to 2/3.
        var scaled = Assert.IsType<FlowFormulation>(ScheduleScaling.Scale(new FlowFormulation(shift: 1.5), 2));
        Assert.Equal(3, scaled.Shift);
        Assert.Equal(2.0 / 3, FlowFormulation.ShiftTime(0.5, 2), 12);
    }

    [Fact]
    public void Factor_one_has_no_effect_and_invalid_factors_are_rejected()
    {
        var before = FormulationTests.Create("eps");
        Assert.Same(((DdpmFormulation)before).Schedule, ((DdpmFormulation)ScheduleScaling.Scale(before, 1)).Schedule);
        foreach (var factor in (double[])[0, -1, double.NaN, double.PositiveInfinity])
            Assert.Throws<UsageException>(() => ScheduleScaling.Scale(before, factor));
        Assert.Contains(
            "already depends on the image size",
            Assert.Throws<UsageException>(() => ScheduleScaling.Scale(new FlowFormulation { Dynamic = new() }, 2)).Message
        );
    }
}
