using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>Prior samples in a batch: only the prior's loss applies to them.</summary>
public sealed class PriorObjectiveTests
{
    private const double Weight = 0.7;
    private static readonly double[] Times = [0.2, 0.5, 0.3, 0.6, 0.4];

    private static readonly ObjectiveOptions Options = new()
    {
        Perceptual = new() { Weight = 3, Gate = GateKind.None },
        Pixel = new() { Weight = 2 },
    };

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void The_loss_is_that_of_the_pictures_and_the_weighted_diffusion_loss_of_the_prior(int decodeBatch)
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var options = Options with { DecodeBatch = decodeBatch };
        var step = new Step(Times);
        var whole = step.Inputs() with { Prior = 2 };
        var terms = new ObjectiveSet(options, decoder, prior: Weight).Evaluate(whole);
        Assert.Equal(["latent", "prior", "lpl", "pixel"], terms.Terms.Select(static t => t.Name));
        // The first three samples as a batch, and the mean squared error of the other two.
        var pictures = new ObjectiveSet(options, decoder).Evaluate(step.Part(0, 3, new(0, 0, 1)));
        var prior = whole.Residual.Narrow(0, 3, 2).Square().Mean().Item();
        Assert.Equal(prior, terms.Terms[1].Raw, 1e-12);
        Assert.Equal(pictures.Total.Item() + (Weight * prior), terms.Total.Item(), 1e-12);
        foreach (var term in pictures.Terms)
            Assert.Equal(term.Raw, terms.Terms.Single(t => t.Name == term.Name).Raw, 1e-12);
        // Prior samples are not decoded.
        Assert.DoesNotContain(decoder.Calls, static c => c.Samples > 3);
    }

    [Fact]
    public void The_gradient_equals_central_differences()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var set = new ObjectiveSet(Options, decoder, prior: Weight);
        var step = new Step(Times);
        ObjectiveInputs Inputs() => step.Inputs() with { Prior = 2 };
        var gradient = Autograd.Grad([set.Evaluate(Inputs()).Total], [step.Prediction])[0]!.ToArray<double>();
        FiniteDifferences.Check(step.Prediction, gradient, () => set.Evaluate(Inputs()).Total.Item(), stride: 7);
    }

    [Fact]
    public void Without_prior_samples_the_term_is_unknown_in_a_validation()
    {
        using var scope = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var inputs = new Step(Times).Inputs();
        var (terms, _) = new ObjectiveSet(Options, decoder, prior: Weight).Measure(inputs);
        Assert.False(terms["prior"].IsKnown);
        var (plain, _) = new ObjectiveSet(Options, decoder).Measure(inputs);
        foreach (var (name, value) in plain)
            Assert.Equal(value.Value, terms[name].Value, 1e-12);
        var (measured, _) = new ObjectiveSet(Options, decoder, prior: Weight).Measure(inputs with { Prior = 2 });
        Assert.Equal((2, 3), (measured["prior"].Count, measured["latent"].Count));
    }
}
