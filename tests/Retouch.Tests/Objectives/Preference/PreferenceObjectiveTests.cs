using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Objectives.Preference;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Objectives.Preference;

public sealed class PreferenceObjectiveTests
{
    private static readonly double[] Times = [0.3, 0.6];

    public static TheoryData<PreferenceMethod, PreferenceSpace, string, PreferenceLink> Cells()
    {
        var cells = new TheoryData<PreferenceMethod, PreferenceSpace, string, PreferenceLink>();
        foreach (var method in Enum.GetValues<PreferenceMethod>())
        {
            foreach (var space in Enum.GetValues<PreferenceSpace>())
            {
                foreach (var formulation in new[] { "epsilon", "v", "flow" })
                {
                    foreach (var link in Enum.GetValues<PreferenceLink>())
                        cells.Add(method, space, formulation, link);
                }
            }
        }

        return cells;
    }

    [Fact]
    public void Diffusion_dpo_equals_the_golden()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("diffusion_dpo");
        var prediction = golden.ReadLeaf("in.model_pred");
        var (target, reference) = (golden.Read("in.target"), golden.Read("in.ref_pred"));
        // For the target ε the residual is the prediction minus ε, for any z0 and t.
        var formulation = new DdpmFormulation(NoiseSchedule.Create(BetaSchedule.ScaledLinear, 0.00085, 0.012, 1000));
        var noisy = formulation.AddNoise(
            new Latent(Ops.ZerosLike(target)),
            target,
            formulation.LevelsAt([10, 400, 900, 10, 400, 900], Device.Cpu)
        );
        var inputs = new ObjectiveInputs(formulation, noisy, formulation.Read(noisy.Value, noisy.Level, new Prediction(prediction)))
        {
            Pairs = new PairedSamples(3) { Reference = formulation.Read(noisy.Value, noisy.Level, new Prediction(reference)) },
        };
        var terms = new ObjectiveSet(new() { Preference = new() { Beta = (double)golden.Document["params"]!["beta"]! } }, null).Evaluate(
            inputs
        );
        golden.Check("out.loss", terms.Total);
        golden.Check("grad.model_pred", Autograd.Grad([terms.Total], [prediction])[0]!);
        Assert.Equal(golden.Read("out.implicit_accuracy").Item(), terms.Health["preference_latent/accuracy"], 1e-6);
        Assert.Equal(golden.Read("out.inside").ToArray<double>().Average(), terms.Health["preference_latent/margin"], 2.72e-4);
        var errors = (golden.Read("out.model_diff").ToArray<double>().Average(), golden.Read("out.ref_diff").ToArray<double>().Average());
        Assert.Equal(errors.Item1, terms.Health["preference_latent/winner"] - terms.Health["preference_latent/loser"], 1.4e-6);
        Assert.Equal(
            errors.Item2,
            terms.Health["preference_latent/reference_winner"] - terms.Health["preference_latent/reference_loser"],
            1.4e-6
        );
    }

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Cells))]
    public void The_gradient_equals_differences(PreferenceMethod method, PreferenceSpace space, string formulation, PreferenceLink link)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var preference = new PreferenceOptions
        {
            Method = method,
            Space = space,
            Link = link,
            Beta = 1.7,
            PixelBeta = space == PreferenceSpace.Both ? 0.6 : null,
            PixelWeight = space == PreferenceSpace.Both ? 3 : null,
            Features = space == PreferenceSpace.Features ? new() { StatisticsGradient = 1 } : null,
            Gamma = method == PreferenceMethod.Simpo ? 0.3 : null,
        };
        new PairStep(formulation, Times).CheckGradient(new ObjectiveSet(new() { Preference = preference }, decoder), stride: 37);
    }

    [Theory]
    [InlineData(PixelEstimate.X0, null)]
    [InlineData(PixelEstimate.X0, PixelTarget.Decoding)]
    [InlineData(PixelEstimate.Remix, PixelTarget.Image)]
    public void Other_pixel_targets(PixelEstimate estimate, PixelTarget? target)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var preference = new PreferenceOptions
        {
            Space = PreferenceSpace.Pixel,
            Beta = 3,
            Estimate = estimate,
            Target = target,
            Reduction = ErrorReduction.Sum,
            Scaling = BetaScaling.Plain,
        };
        new PairStep("flow", Times).CheckGradient(
            new ObjectiveSet(new() { Preference = preference with { Beta = 0.01 } }, decoder),
            stride: 37
        );
    }

    [Theory]
    [InlineData("epsilon")]
    [InlineData("v")]
    [InlineData("flow")]
    public void With_the_model_as_reference_the_loss_is_log_2(string formulation)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        const double Beta = 40;
        var step = new PairStep(formulation, Times, referenceError: null);
        var residual = step.Inputs().Residual;
        foreach (var reduction in Enum.GetValues<ErrorReduction>())
        {
            var (total, gradient) = step.Differentiate(
                new ObjectiveSet(
                    new()
                    {
                        Preference = new()
                        {
                            Beta = Beta,
                            Scaling = BetaScaling.Plain,
                            Reduction = reduction,
                        },
                    },
                    null
                )
            );
            Assert.Equal(Math.Log(2), total, 1e-12);
            // −log σ(z) has slope −½ at 0, z decreases by β per unit of a winner's error, and there are two pairs.
            var elements = reduction == ErrorReduction.Mean ? 72.0 : 1;
            var expected = (residual * (2 / elements)).ToArray<double>();
            for (var k = 0; k < expected.Length; k++)
                Assert.Equal((k < expected.Length / 2 ? 1 : -1) * Beta / 2 * expected[k] / 2, gradient[k], 1e-11);
        }

        foreach (var space in new[] { PreferenceSpace.Pixel, PreferenceSpace.Features, PreferenceSpace.Both })
        {
            var terms = new ObjectiveSet(new() { Preference = new() { Space = space } }, decoder).Evaluate(step.Inputs());
            Assert.All(terms.Terms, static t => Assert.Equal(Math.Log(2), t.Raw, 1e-12));
            Assert.All(
                terms.Health.Where(static h => h.Key.EndsWith("/accuracy", StringComparison.Ordinal)),
                static h => Assert.Equal(0.5, h.Value)
            );
            Assert.Equal(0, terms.Health["preference/drift"]);
        }
    }

    [Theory]
    [InlineData(PreferenceLink.LogSigmoid)]
    [InlineData(PreferenceLink.Ipo)]
    [InlineData(PreferenceLink.Hinge)]
    public void Losses_equal_the_formulas(PreferenceLink link)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new PairStep("v", Times);
        var inputs = step.Inputs();
        double[] Errors(Tensor residual) => residual.Square().Mean([1L, 2, 3]).ToArray<double>();
        double[] Pixels(Tensor remix) =>
            (decoder.Decode(new(remix)) - decoder.Decode(new(inputs.Noisy.Value))).Square().Mean([1L, 2, 3]).ToArray<double>();
        double Link(double z) =>
            link switch
            {
                PreferenceLink.Ipo => (z - 0.5) * (z - 0.5),
                PreferenceLink.Hinge => Math.Max(0, 1 - z),
                _ => Math.Log(1 + Math.Exp(-z)),
            };
        double Loss(double[] e, double[]? r, double beta, double gamma) =>
            Enumerable.Range(0, 2).Average(k => Link((-beta * (e[k] - (r?[k] ?? 0) - (e[k + 2] - (r?[k + 2] ?? 0)))) - gamma));
        var (latent, reference) = (
            Errors(inputs.Residual),
            Errors(inputs.Formulation.Residual(inputs.Noisy, inputs.Pairs!.Reference!.Raw))
        );
        var (pixels, pixelReference) = (Pixels(inputs.Remix), Pixels(inputs.ReferenceLatentsOf(DecodeSource.Remix)));
        LossTerms Evaluate(PreferenceOptions options) =>
            new ObjectiveSet(new() { Preference = options with { Link = link } }, decoder).Evaluate(step.Inputs());
        Assert.Equal(Loss(latent, reference, 3, 0), Evaluate(new() { Beta = 6 }).Total.Item(), 1e-12);
        Assert.Equal(
            Loss(latent, null, 6, 0.2),
            Evaluate(
                new()
                {
                    Method = PreferenceMethod.Simpo,
                    Beta = 6,
                    Gamma = 0.2,
                }
            )
                .Total.Item(),
            1e-12
        );
        Assert.Equal(Loss(pixels, pixelReference, 3, 0), Evaluate(new() { Space = PreferenceSpace.Pixel, Beta = 6 }).Total.Item(), 1e-12);
        var both = Evaluate(
            new()
            {
                Space = PreferenceSpace.Both,
                Beta = 6,
                PixelBeta = 4,
                PixelWeight = 0.7,
                Weight = 2,
            }
        );
        Assert.Equal((2 * Loss(latent, reference, 3, 0)) + (0.7 * Loss(pixels, pixelReference, 2, 0)), both.Total.Item(), 1e-12);
        Assert.Equal(["preference_latent", "preference_pixel"], both.Terms.Select(static t => t.Name));
    }

    [Fact]
    public void A_gate_excludes_whole_pairs()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        PreferenceOptions Options(SampleReduction reduction) =>
            new()
            {
                Space = PreferenceSpace.Features,
                Beta = 2,
                Features = new()
                {
                    StatisticsGradient = 1,
                    Gate = GateKind.T,
                    Threshold = 0.5,
                    SampleReduction = reduction,
                },
            };
        LossTerms Evaluate(double[] times, SampleReduction reduction) =>
            new ObjectiveSet(new() { Preference = Options(reduction) }, decoder).Evaluate(new PairStep("flow", times).Inputs());
        var all = Evaluate([0.3, 0.6], SampleReduction.Batch);
        Assert.Equal(0.5, all.Health["preference_features/active"]);
        Assert.Equal(2 * all.Total.Item(), Evaluate([0.3, 0.6], SampleReduction.Active).Total.Item(), 1e-12);
        Assert.Equal(0, Evaluate([0.7, 0.6], SampleReduction.Active).Total.Item());
        new PairStep("flow", [0.3, 0.6]).CheckGradient(
            new ObjectiveSet(new() { Preference = Options(SampleReduction.Active) }, decoder),
            37
        );
    }

    [Fact]
    public void A_precomputed_reference_gives_the_same_loss()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new PairStep("flow", Times);
        var set = new ObjectiveSet(
            new()
            {
                Preference = new() { Space = PreferenceSpace.Both, Beta = 2 },
            },
            decoder
        );
        var expected = step.Differentiate(set);
        var inputs = step.Inputs();
        Tensor Decoded(Tensor latents) =>
            (decoder.Decode(new(latents)) - decoder.Decode(new(inputs.Noisy.Value))).Square().Mean([1L, 2, 3]);
        var errors = new Dictionary<PreferenceSpace, Tensor>
        {
            [PreferenceSpace.Latent] = inputs.Formulation.Residual(inputs.Noisy, inputs.Pairs!.Reference!.Raw).Square().Mean([1L, 2, 3]),
            [PreferenceSpace.Pixel] = Decoded(inputs.ReferenceLatentsOf(DecodeSource.Remix)),
        };
        decoder.Calls.Clear();
        var actual = step.Differentiate(set, step.Inputs(errors, reference: false));
        Assert.Equal(2, decoder.Calls.Count);
        Assert.Equal(expected.Total, actual.Total, 1e-12);
        Assert.All(expected.Gradient.Zip(actual.Gradient), static p => Assert.Equal(p.First, p.Second, 1e-12));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Micro_batches_do_not_change_the_result(int decodeBatch)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            LatentWeight = 0.3,
            Perceptual = new() { Weight = 0.2 },
            Preference = new() { Space = PreferenceSpace.Both, Beta = 2 },
        };
        PairStep Fresh() => new("flow", [0.3, 0.6, 0.9], single: [0.2, 0.8]);
        var whole = Fresh().Differentiate(new ObjectiveSet(options, decoder));
        var wholeHealth = new ObjectiveSet(options, decoder).Evaluate(Fresh().Inputs()).Health;
        var set = new ObjectiveSet(options with { DecodeBatch = decodeBatch }, decoder);
        decoder.Calls.Clear();
        var cut = Fresh().Differentiate(set);
        Assert.All(decoder.Calls, c => Assert.InRange(c.Samples, 1, decodeBatch));
        Assert.Equal(whole.Total, cut.Total, 1e-12);
        Assert.All(whole.Gradient.Zip(cut.Gradient), static p => Assert.Equal(p.First, p.Second, 1e-12));
        var health = set.Evaluate(Fresh().Inputs()).Health;
        Assert.Equal(wholeHealth.Keys, health.Keys);
        Assert.All(wholeHealth, p => Assert.Equal(p.Value, health[p.Key], 1e-9));
    }

    [Fact]
    public void A_target_is_decoded_once_for_all_uses()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        // Both compare ẑ0 with z0: the preference with the reference, the latent perceptual loss for winners and single samples.
        var options = new ObjectiveOptions
        {
            Perceptual = new()
            {
                Weight = 3,
                TargetFrequencies = 0,
                ErrorScale = 1,
                Gate = GateKind.None,
            },
            Preference = new()
            {
                Space = PreferenceSpace.Features,
                Features = new() { Gate = GateKind.None },
            },
        };
        new ObjectiveSet(options, decoder).Evaluate(new PairStep("flow", Times, single: [0.4]).Inputs());
        // Both terms use winners, one each losers and the single sample: every group's target is decoded once.
        Assert.Equal(5, decoder.Calls.Where(static c => c.Recorded).Sum(static c => c.Samples));
        Assert.Equal(5 + 4, decoder.Calls.Where(static c => !c.Recorded).Sum(static c => c.Samples));
        var clean = decoder.Seen;
        Assert.Equal(clean.Count, clean.Distinct().Count());
        decoder.Calls.Clear();
        var simpo = new ObjectiveOptions
        {
            Preference = new()
            {
                Method = PreferenceMethod.Simpo,
                Beta = 1,
                Space = PreferenceSpace.Pixel,
            },
        };
        new ObjectiveSet(simpo, decoder).Evaluate(new PairStep("flow", Times, single: [0.4]).Inputs());
        Assert.Equal([(4L, false), (4L, true)], decoder.Calls.Select(static c => (c.Samples, c.Recorded)));
    }

    [Fact]
    public void Other_terms_apply_to_winners_and_single_samples()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = new ObjectiveOptions
        {
            LatentWeight = 0.5,
            Perceptual = new()
            {
                Weight = 2,
                StatisticsGradient = 1,
                Gate = GateKind.None,
            },
            Pixel = new() { Weight = 3 },
        };
        var step = new PairStep("v", Times, single: [0.5]);
        var (_, plain) = step.Differentiate(new ObjectiveSet(options, decoder));
        var inputs = step.Inputs();
        long[] rows = [0, 1, 4];
        var index = Tensor.From(rows);
        Tensor Rows(Tensor x) => x.IndexSelect(0, index);
        var level = new NoiseLevel(
            Rows(inputs.Noisy.Level.Timestep),
            Rows(inputs.Noisy.Level.A),
            Rows(inputs.Noisy.Level.B),
            Rows(inputs.Noisy.Level.Sigma)
        );
        var noisy = new NoisedLatent(Rows(inputs.Noisy.Value), new Latent(Rows(inputs.Noisy.Clean.Value)), Rows(inputs.Noisy.Noise), level);
        var leaf = Rows(step.Prediction.Detach());
        leaf.RequiresGrad = true;
        var prediction = new Prediction(leaf);
        var alone = new ObjectiveInputs(inputs.Formulation, noisy, inputs.Formulation.Read(noisy.Value, noisy.Level, prediction));
        var expected = Autograd.Grad([new ObjectiveSet(options, decoder).Evaluate(alone).Total], [leaf])[0]!.ToArray<double>();
        var each = expected.Length / 3;
        for (var k = 0; k < plain.Length; k++)
        {
            var row = Array.IndexOf(rows, k / each);
            Assert.Equal(row < 0 ? 0 : expected[(row * each) + (k % each)], plain[k], 1e-12);
        }

        step.CheckGradient(
            new ObjectiveSet(
                options with
                {
                    Preference = new() { Beta = 2, Space = PreferenceSpace.Both },
                },
                decoder
            ),
            53
        );
    }

    [Fact]
    public void Health_metrics_are_complete()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new PairStep("epsilon", Times);
        var terms = new ObjectiveSet(
            new()
            {
                Preference = new() { Space = PreferenceSpace.Both, Beta = 2 },
                LatentWeight = 0.1,
            },
            decoder
        ).Evaluate(step.Inputs());
        foreach (var name in new[] { "preference_latent", "preference_pixel" })
        {
            var h = terms.Health;
            Assert.Equal(
                -(h[$"{name}/winner"] - h[$"{name}/reference_winner"] - (h[$"{name}/loser"] - h[$"{name}/reference_loser"])),
                h[$"{name}/margin"],
                1e-12
            );
            Assert.InRange(h[$"{name}/accuracy"], 0, 1);
            Assert.True(h[$"{name}/gradient_norm"] > 0 && h[$"{name}/gradient_ratio"] > 0);
        }

        var inputs = step.Inputs();
        var drift = (inputs.Estimate.Noise - inputs.Pairs!.Reference!.Noise).Square().Mean().Item();
        Assert.Equal(drift, terms.Health["preference/drift"], 1e-12);
        double Norm(ObjectiveOptions o) => Math.Sqrt(step.Differentiate(new ObjectiveSet(o, decoder)).Gradient.Sum(static g => g * g));
        Assert.Equal(
            Norm(
                new()
                {
                    Preference = new() { Space = PreferenceSpace.Pixel, Beta = 2 },
                }
            ),
            terms.Health["preference_pixel/gradient_norm"],
            1e-12
        );
    }

    [Fact]
    public void Missing_inputs_are_named()
    {
        using var scope = TensorScope.Enter();
        var set = new ObjectiveSet(new() { Preference = new() }, null);
        Assert.Contains("data.pairs", Assert.Throws<UsageException>(() => set.Evaluate(new Step([0.3]).Inputs())).Message);
        Assert.Throws<ArgumentException>(() => set.Evaluate(new PairStep("flow", Times).Inputs(reference: false)));
    }
}
