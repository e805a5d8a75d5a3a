using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

public sealed class ObjectiveSetTests
{
    private static readonly double[] Times = [0.3, 0.6, 0.9];

    [Fact]
    public void Terms_are_logged_raw_and_weighted_with_their_share()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var terms = new ObjectiveSet(
            new()
            {
                LatentWeight = 0.5,
                Perceptual = new() { Weight = 3 },
                Pixel = new() { Weight = 8 },
            },
            decoder
        ).Evaluate(new Step(Times).Inputs());
        Assert.Equal(["latent", "lpl", "pixel"], terms.Terms.Select(static t => t.Name));
        Assert.Equal([0.5, 3, 8], terms.Terms.Select(static t => Math.Round(t.Weighted / t.Raw, 12)));
        Assert.Equal(terms.Total.Item(), terms.Terms.Sum(static t => t.Weighted), 1e-12);
        Assert.Equal(1, terms.Terms.Sum(static t => t.Share), 1e-12);
    }

    [Fact]
    public void Noise_levels_are_weighted_as_the_formulation_says()
    {
        using var scope = TensorScope.Enter();
        var step = new Step(Times);
        var inputs = step.Inputs();
        double[] errors = inputs.Residual.Square().Mean([1L, 2, 3]).ToArray<double>();
        double Raw(LossWeightingKind kind, double? gamma = null) =>
            new ObjectiveSet(new() { LatentWeighting = kind, MinSnrGamma = gamma }, null).Evaluate(inputs).Terms[0].Raw;
        Assert.Equal(errors.Average(), Raw(LossWeightingKind.Uniform), 1e-12);
        // A flow's min-SNR weight: min((1 − t)², γ·t²).
        Assert.Equal(
            errors.Zip(Times, static (e, t) => e * Math.Min((1 - t) * (1 - t), 0.2 * t * t)).Average(),
            Raw(LossWeightingKind.MinSnr, 0.2),
            1e-6
        );
        Assert.NotEqual(Raw(LossWeightingKind.MinSnr, 0.2), Raw(LossWeightingKind.MinSnr));
    }

    [Fact]
    public void Depth_weights_scale_the_layers()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        double Raw(LatentPerceptualOptions options) =>
            new ObjectiveSet(new() { Perceptual = options }, decoder).Evaluate(new Step(Times).Inputs()).Terms[1].Raw;
        // Scales 1, 2, 4.
        double[] layers = [.. Enumerable.Range(0, 3).Select(t => Raw(new() { Taps = [t], DepthWeighting = DepthWeighting.Uniform }))];
        double Expected(params double[] weights) => weights.Zip(layers, static (w, l) => w * l).Sum();
        Assert.Equal(Expected(1, 1, 1), Raw(new() { DepthWeighting = DepthWeighting.Uniform }), 1e-12);
        Assert.Equal(Expected(1, 1 / 2.0, 1 / 4.0), Raw(new()), 1e-12);
        Assert.Equal(Expected(1 / 2.0, 1 / 4.0, 1 / 16.0), Raw(new() { DepthWeighting = DepthWeighting.Exponential }), 1e-12);
        Assert.Equal(Expected(0, 3, 7), Raw(new() { DepthWeighting = DepthWeighting.Custom, DepthWeights = [0, 3, 7] }), 1e-12);
    }

    [Fact]
    public void Sample_reduction_divides_by_the_batch_or_the_active_samples()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        double Raw(SampleReduction reduction) => new ObjectiveSet(
                new()
                {
                    Perceptual = new() { Weight = 3, SampleReduction = reduction },
                },
                decoder
            ).Evaluate(new Step(Times).Inputs()).Terms[1].Raw;
        Assert.Equal(1.5, Raw(SampleReduction.Active) / Raw(SampleReduction.Batch), 1e-12);
    }

    [Fact]
    public void The_threshold_moves_with_the_resolution()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        // σ = 1.5 and 9.
        double Active(LatentPerceptualOptions options) =>
            new ObjectiveSet(new() { Perceptual = options }, decoder).Evaluate(new Step([0.6, 0.9]).Inputs()).Health["lpl/active"];
        Assert.Equal(0.5, Active(new()));
        Assert.Equal(1, Active(new() { ResolutionScale = 3.01 }));
        Assert.Equal(0, Active(new() { ResolutionScale = 0.49 }));
        Assert.Equal(0.5, Active(new() { Gate = GateKind.Snr, Threshold = 0.1 }));
        Assert.Equal(
            1,
            Active(
                new()
                {
                    Gate = GateKind.Snr,
                    Threshold = 0.1,
                    ResolutionScale = 3,
                }
            )
        );
    }

    [Fact]
    public void Health_is_complete_and_does_not_depend_on_micro_batches()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            Perceptual = new()
            {
                Weight = 3,
                Taps = [0, 1, 2, 3],
                Rgb = true,
            },
            Pixel = new() { Weight = 2 },
        };
        var whole = new ObjectiveSet(options, decoder).Evaluate(new Step(Times, side: 16, outliers: true).Inputs()).Health;
        var cut = new ObjectiveSet(options with { DecodeBatch = 1 }, decoder)
            .Evaluate(new Step(Times, side: 16, outliers: true).Inputs())
            .Health;
        Assert.Equal(whole.Keys, cut.Keys);
        Assert.All(whole, p => Assert.Equal(p.Value, cut[p.Key], 1e-9));
        string[] layers = ["tap0", "tap1", "tap2", "tap3", "rgb"];
        Assert.Equal(1, layers.Sum(l => whole[$"lpl/share/{l}"]), 1e-12);
        foreach (var layer in layers)
        {
            Assert.InRange(whole[$"lpl/masked/{layer}"], 0, 1);
            Assert.True(whole[$"lpl/raw/{layer}"] > 0 && whole[$"lpl/normalised/{layer}"] > 0);
            Assert.InRange(whole[$"lpl/variance_ratio/{layer}"], 0.1, 10);
        }

        Assert.Equal(0, whole["lpl/nonfinite"]);
        Assert.Equal(2 / 3.0, whole["lpl/active"], 1e-12);
    }

    [Fact]
    public void The_gradient_ratio_is_the_ratio_of_norms_at_the_prediction()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var health = new ObjectiveSet(
            new()
            {
                LatentWeight = 2,
                Perceptual = new() { Weight = 3 },
                Pixel = new() { Weight = 2 },
            },
            decoder
        ).Evaluate(new Step(Times).Inputs()).Health;
        double Norm(ObjectiveOptions options)
        {
            var (_, gradient) = new Step(Times).Differentiate(new ObjectiveSet(options, decoder));
            return Math.Sqrt(gradient.Sum(static g => g * g));
        }

        var (latent, lpl, pixel) = (
            Norm(new() { LatentWeight = 2 }),
            Norm(
                new()
                {
                    LatentWeight = 0,
                    Perceptual = new() { Weight = 3 },
                }
            ),
            Norm(
                new()
                {
                    LatentWeight = 0,
                    Pixel = new() { Weight = 2 },
                }
            )
        );
        Assert.Equal(latent, health["latent/gradient_norm"], 1e-12);
        Assert.Equal(lpl / latent, health["lpl/gradient_ratio"], 1e-10);
        Assert.Equal(pixel / latent, health["pixel/gradient_ratio"], 1e-10);
    }

    [Fact]
    public void Non_finite_features_are_counted_and_propagate()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new Step(Times);
        var inputs = step.Inputs();
        var bad = inputs with
        {
            Estimate = inputs.Estimate with { Z0 = new(inputs.Estimate.Z0.Value * Tensor.From([double.NaN, 1, 1], 3, 1, 1, 1)) },
        };
        var terms = new ObjectiveSet(new() { Perceptual = new() { Weight = 3 } }, decoder).Evaluate(bad);
        Assert.Equal(1, terms.Health["lpl/nonfinite"]);
        Assert.True(double.IsNaN(terms.Total.Item()));
    }

    [Fact]
    public void Auto_weights_reach_their_shares_freeze_and_resume()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            Perceptual = new() { Weight = TermWeight.OfShare(0.2, 2) },
            Pixel = new() { Weight = TermWeight.OfShare(0.3, 3) },
        };
        var set = new ObjectiveSet(options, decoder);
        LossTerms Evaluate(ObjectiveSet s, double error) => s.Evaluate(new Step(Times, error: error).Inputs());
        // The weight of a step depends on the previous steps.
        Assert.Equal([1, 0, 0], Evaluate(set, 0.5).Terms.Select(static t => t.Share));
        Assert.Equal([0.5, 0.2, 0.3], Evaluate(set, 0.5).Terms.Select(static t => Math.Round(t.Share, 12)));
        Evaluate(set, 1.5);
        var third = Evaluate(set, 0.1);
        var fourth = Evaluate(set, 0.02);
        Assert.Equal(third.Health["lpl/weight"], fourth.Health["lpl/weight"]);
        Assert.Equal(third.Health["pixel/weight"], fourth.Health["pixel/weight"]);
        Assert.Equal([2L, 3L], new[] { "lpl", "pixel" }.Select(n => set.State[n].Evaluations));

        var again = new ObjectiveSet(options, decoder);
        Evaluate(again, 0.5);
        var resumed = new ObjectiveSet(options, decoder) { State = again.State };
        foreach (var error in new[] { 0.5, 1.5, 0.1 })
            Assert.Equal(Evaluate(again, error).Total.Item(), Evaluate(resumed, error).Total.Item());
        Assert.Equal(fourth.Health["lpl/weight"], Evaluate(resumed, 1).Health["lpl/weight"]);
    }

    [Fact]
    public void Steps_without_active_samples_are_ignored_by_auto_weights()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(new() { Perceptual = new() { Weight = TermWeight.OfShare(0.2, 1) } }, decoder);
        var without = set.Evaluate(new Step([0.99]).Inputs());
        Assert.Equal((0, 0.0), ((int)set.State["lpl"].Evaluations, without.Terms[1].Weighted));
        Assert.Equal(0, set.Evaluate(new Step([0.4]).Inputs()).Terms[1].Weighted);
        Assert.Equal(0.2, set.Evaluate(new Step([0.4]).Inputs()).Terms[1].Share, 1e-12);
    }

    [Fact]
    public void Processes_of_a_distributed_run_have_equal_scales()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions { Perceptual = new() { Weight = TermWeight.Auto } };
        double[] errors = [0.2, 0.9];
        // Average over both processes, computed from each alone.
        var seen = errors
            .Select(e =>
            {
                var numbers = new List<double>();
                var set = new ObjectiveSet(
                    options,
                    decoder,
                    x =>
                    {
                        numbers.Add(x);
                        return x;
                    }
                );
                set.Evaluate(new Step(Times, error: e).Inputs());
                set.Evaluate(new Step(Times, error: e).Inputs());
                return numbers;
            })
            .ToArray();
        var weights = errors
            .Select(e =>
            {
                var next = 0;
                var set = new ObjectiveSet(options, decoder, _ => (seen[0][next] + seen[1][next++]) / 2);
                set.Evaluate(new Step(Times, error: e).Inputs());
                return set.Evaluate(new Step(Times, error: e).Inputs()).Health["lpl/weight"];
            })
            .ToArray();
        Assert.True(weights[0] > 0);
        Assert.Equal(weights[0], weights[1]);
    }
}
