using System.Text.Json;
using Retouch.Objectives;

namespace Retouch.Tests.Objectives;

/// <summary>Weights by gradient ratio and by share, and their saved state.</summary>
public sealed class MeasuredWeightTests
{
    [Fact]
    public void A_gradient_ratio_is_the_median_over_steps_so_that_one_heavy_sample_has_no_effect()
    {
        var weight = MeasuredWeight.Of(TermWeight.OfGradientRatio(0.5, 5), 0);
        Assert.Equal(0, weight.Value);
        // Norms of the diffusion loss over those of the term: 2, 3, 4, 0.01, 5.
        (double Term, double Latent, double Value)[] steps =
        [
            (1, 4, 0.5 * 2),
            (4, 36, 0.5 * 2.5),
            (0.25, 4, 0.5 * 3),
            (1e4, 1, 0.5 * 2.5),
            (1, 25, 0.5 * 3),
        ];
        for (var k = 0; k < steps.Length; k++)
        {
            Assert.False(weight.IsFrozen);
            // Two micro-batches; the second has no active sample.
            weight.Observe(steps[k].Term, steps[k].Latent / 2);
            weight.Observe(0, steps[k].Latent / 2);
            Assert.Equal(k == steps.Length - 1, weight.Commit());
            Assert.Equal(steps[k].Value, weight.Value, 1e-12);
        }

        weight.Observe(1, 1e6);
        Assert.False(weight.Commit());
        Assert.Equal(1.5, weight.Value, 1e-12);
    }

    [Fact]
    public void Steps_without_an_active_or_finite_term_do_not_count()
    {
        var weight = MeasuredWeight.Of(TermWeight.OfGradientRatio(1, 1), 0);
        foreach (var term in new[] { 0, double.NaN, double.PositiveInfinity })
        {
            weight.Observe(term, 1);
            Assert.False(weight.Commit());
            Assert.Equal(0, weight.Value);
        }

        weight.Observe(4, 1);
        Assert.True(weight.Commit());
        Assert.Equal(0.5, weight.Value);
    }

    [Fact]
    public void A_saved_state_continues_the_measurement()
    {
        var whole = Weight();
        var cut = Weight();
        for (var step = 1; step <= 6; step++)
        {
            foreach (var weight in new[] { whole, cut })
            {
                weight.Observe(step * step % 5, 1 + step);
                weight.Commit();
            }

            var saved = JsonSerializer.Serialize(cut.State);
            cut = Weight();
            cut.State = JsonSerializer.Deserialize<AutoWeightState>(saved)!;
            Assert.Equal((whole.Value, whole.IsFrozen), (cut.Value, cut.IsFrozen));
        }

        static MeasuredWeight Weight() => MeasuredWeight.Of(TermWeight.OfGradientRatio(0.3, 4), 0);
    }

    [Fact]
    public void A_state_without_steps_is_measured_by_its_sums()
    {
        var weight = MeasuredWeight.Of(TermWeight.OfGradientRatio(0.5, 3), 0);
        weight.State = new(2, 4, 100);
        Assert.Equal(2.5, weight.Value, 1e-12);
        weight.Observe(5, 44);
        Assert.True(weight.Commit());
        Assert.Equal(0.5 * Math.Sqrt(144.0 / 9), weight.Value, 1e-12);
    }

    [Fact]
    public void A_share_is_measured_by_sums()
    {
        var weight = MeasuredWeight.Of(TermWeight.OfShare(0.2, 2), 0.2);
        weight.Observe(1, 8);
        weight.Commit();
        weight.Observe(3, 8);
        Assert.True(weight.Commit());
        // w·4 is a fifth of w·4 + 16.
        Assert.Equal(1, weight.Value, 1e-12);
    }
}
