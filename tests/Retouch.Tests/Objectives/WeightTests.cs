using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>Measured weights, reports on fixed ones, and equivalence of micro-batches.</summary>
public sealed class WeightTests
{
    // All but 0.99 and 0.9 are below τ = 3.
    private static readonly double[] Times = [0.2, 0.5, 0.6, 0.3, 0.9, 0.99];

    public static TheoryData<ObjectiveOptions> Cut() =>
        new()
        {
            new ObjectiveOptions { Perceptual = new() { Weight = 3 } },
            new ObjectiveOptions
            {
                Perceptual = new()
                {
                    Weight = 3,
                    SampleReduction = SampleReduction.Active,
                    NoiseWeighting = NoiseWeighting.MinSnr,
                },
            },
            new ObjectiveOptions
            {
                Perceptual = new() { SampleReduction = SampleReduction.Active },
                Pixel = new(),
            },
            new ObjectiveOptions
            {
                Perceptual = new() { Weight = TermWeight.OfShare(0.2) },
                Pixel = new() { Weight = TermWeight.OfShare(0.3) },
            },
        };

    [Fact]
    public void A_gradient_ratio_is_reached_in_the_second_step_and_frozen_after_the_warm_up()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(
            new()
            {
                LatentWeight = 0.7,
                Perceptual = new() { Weight = TermWeight.OfGradientRatio(0.25, 2) },
                Pixel = new(),
            },
            decoder
        );
        LossTerms Evaluate(double error) => set.Evaluate(new Step(Times, error: error).Inputs());
        var first = Evaluate(0.5);
        Assert.Equal(0, first.Terms[1].Weighted);
        var second = Evaluate(0.5).Health;
        Assert.Equal(0.25, second["lpl/gradient_ratio"], 1e-9);
        Assert.Equal(PixelOptions.DefaultGradientRatio, second["pixel/gradient_ratio"], 1e-9);
        Assert.Contains("lpl", Assert.Single(set.TakeNotes()), StringComparison.Ordinal);
        Assert.Equal(Evaluate(1.5).Health["lpl/weight"], Evaluate(0.1).Health["lpl/weight"]);
        Assert.Empty(set.TakeNotes());
    }

    [Theory]
    [MemberData(nameof(Cut))]
    public void A_step_in_micro_batches_equals_one_large_batch(ObjectiveOptions options)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var (whole, cut) = (new ObjectiveSet(options, decoder), new ObjectiveSet(options, decoder));
        // The last micro-batch has no sample below the gate; three steps, so that measured weights take part.
        for (var n = 0; n < 3; n++)
        {
            var step = new Step(Times, error: 0.3 + (0.2 * n));
            var big = whole.Evaluate(step.Inputs());
            var expected = Autograd.Grad([big.Total], [step.Prediction], retainGraph: true)[0]!.ToArray<double>();
            Dictionary<string, HealthFigure> figures = [];
            Tensor? sum = null;
            for (var micro = 0; micro < 3; micro++)
            {
                var part = cut.Evaluate(step.Part(2 * micro, 2, new StepPosition(n, micro, 3)));
                sum = sum is null ? part.Total / 3 : sum + (part.Total / 3);
                foreach (var (name, figure) in part.Figures)
                    figures[name] = figures.TryGetValue(name, out var before) ? before.Plus(figure) : figure;
            }

            Assert.Equal(big.Total.Item(), sum!.Item(), 1e-10 * big.Total.Item());
            var gradient = Autograd.Grad([sum], [step.Prediction])[0]!.ToArray<double>();
            var largest = expected.Max(Math.Abs);
            for (var k = 0; k < gradient.Length; k++)
                Assert.Equal(expected[k], gradient[k], 1e-10 * largest);
            foreach (var (name, value) in big.Health)
                Assert.True(
                    Math.Abs(value - figures[name].Value) <= 1e-9 * Math.Max(Math.Abs(value), 1e-6),
                    $"{name}: {value:R} in one batch, {figures[name].Value:R} in parts."
                );
        }
    }

    [Fact]
    public void A_dominating_fixed_weight_is_reported_once()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var loud = new ObjectiveSet(new() { Perceptual = new() { Weight = 5000 } }, decoder);
        var quiet = new ObjectiveSet(new() { Perceptual = new() { Weight = 1e-3 } }, decoder);
        List<string> notes = [];
        double ratio = 0;
        for (var step = 0; step < 2 * WeightWatch.Steps; step++)
        {
            var inputs = new Step(Times).Inputs();
            ratio = loud.Evaluate(inputs with { Position = new(step, 0, 1) }).Health["lpl/gradient_ratio"];
            notes.AddRange(loud.TakeNotes());
            quiet.Evaluate(inputs with { Position = new(step, 0, 1) });
            Assert.Empty(quiet.TakeNotes());
        }

        var note = Assert.Single(notes);
        Assert.True(ratio > 10, $"The ratio is {ratio}.");
        Assert.Contains($"{5000 * 0.3 / ratio:G2}", note, StringComparison.Ordinal);
    }

    [Fact]
    public void The_loss_starts_late_with_a_ramp()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(
            new()
            {
                Perceptual = new()
                {
                    Weight = 2,
                    StartStep = 3,
                    RampSteps = 4,
                },
            },
            decoder
        );
        LossTerms At(long step) => set.Evaluate(new Step(Times).Inputs() with { Position = new(step, 0, 1) });
        Assert.Equal((0, 0), (At(2).Terms[1].Raw, At(2).Health["lpl/active"]));
        Assert.Equal(
            [0.5, 1, 1.5, 2, 2],
            new long[] { 3, 4, 5, 6, 7 }
                .Select(s => At(s).Terms[1])
                .Select(static t => Math.Round(t.Weighted / t.Raw, 12))
        );
    }
}
