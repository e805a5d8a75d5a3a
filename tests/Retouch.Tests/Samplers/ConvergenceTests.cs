using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Samplers;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>
/// Normal data N(μ, s²), whose best denoiser and whose flow are known: E[z0 | z_t] = μ + a·s²/(a²s² + b²)·(z_t − a·μ), and the probability
/// flow keeps (z_t − a·μ)/√(a²s² + b²).
/// </summary>
public sealed class ConvergenceTests
{
    private const double Mean = 0.7;
    private const double Deviation = 0.4;

    [Theory]
    [InlineData("flow", SamplerKind.Euler, 1)]
    [InlineData("flow", SamplerKind.Ddim, 1)]
    [InlineData("eps", SamplerKind.Ddim, 1)]
    [InlineData("v", SamplerKind.Euler, 1)]
    [InlineData("v", SamplerKind.DpmSolverPlusPlus, 2)]
    [InlineData("flow", SamplerKind.DpmSolverPlusPlus, 2)]
    [InlineData("eps", SamplerKind.Heun, 2)]
    [InlineData("v", SamplerKind.Heun, 2)]
    [InlineData("flow", SamplerKind.Heun, 2)]
    [InlineData("eps", SamplerKind.UniPc, 3)]
    [InlineData("v", SamplerKind.UniPc, 3)]
    [InlineData("flow", SamplerKind.UniPc, 3)]
    public void The_error_shrinks_with_the_order_of_the_method(string name, SamplerKind kind, int order)
    {
        using var scope = TensorScope.Enter();
        var formulation = Diffusion.FormulationTests.Create(name);
        var (coarse, fine) = (Error(formulation, kind, 24), Error(formulation, kind, 48));
        var measured = Math.Log2(coarse / fine);
        Assert.True(
            Math.Abs(measured - order) < 0.3,
            $"Errors {coarse:R} with 24 and {fine:R} with 48 steps: order {measured:F2}, expected {order}."
        );
    }

    [Theory]
    [InlineData("eps", SamplerKind.Ddpm, 0.0)]
    [InlineData("v", SamplerKind.Ddpm, 0.0)]
    [InlineData("flow", SamplerKind.Ddpm, 0.0)]
    [InlineData("eps", SamplerKind.Ddim, 1.0)]
    [InlineData("flow", SamplerKind.Ddim, 0.5)]
    [InlineData("zero-snr v", SamplerKind.Ddim, 0.0)]
    [InlineData("sample", SamplerKind.Ddpm, 0.0)]
    [InlineData("eps", SamplerKind.EulerAncestral, 0.0)]
    [InlineData("zero-snr v", SamplerKind.EulerAncestral, 0.0)]
    [InlineData("flow", SamplerKind.EulerAncestral, 0.0)]
    [InlineData("zero-snr v", SamplerKind.Heun, 0.0)]
    [InlineData("flow", SamplerKind.Heun, 0.0)]
    [InlineData("zero-snr v", SamplerKind.UniPc, 0.0)]
    [InlineData("zero-snr v", SamplerKind.DpmSolverPlusPlus, 0.0)]
    [InlineData("flow", SamplerKind.UniPc, 0.0)]
    [InlineData("zero-snr v", SamplerKind.Lms, 0.0)]
    public void What_is_drawn_has_the_mean_and_deviation_of_the_data(string name, SamplerKind kind, double eta)
    {
        using var scope = TensorScope.Enter();
        var formulation = Diffusion.FormulationTests.Create(name);
        var options = new SamplerOptions { Kind = kind, Eta = eta };
        using var noise = new ImageNoise([1, 2], [4, 64, 64], Device.Cpu);
        // The smaller variance of ancestral sampling is the posterior's for data that is a point: it narrows the result until the steps are
        // small.
        var steps = kind is SamplerKind.Ddpm or SamplerKind.EulerAncestral ? 1000 : 200;
        var drawn = new SamplingLoop(formulation, options, SamplingPlan.Create(formulation, options, steps))
            .Run(Ideal(formulation), noise.Draw)
            .Value;
        // 32,768 numbers: the mean's standard error is 0.0022, the deviation's 0.0016; the rest is for steps that are not infinitely small.
        Assert.InRange(drawn.Mean().Item(), Mean - 0.011, Mean + 0.011);
        Assert.InRange(drawn.Std([0L, 1, 2, 3], correction: 1).Item(), Deviation - 0.016, Deviation + 0.016);
    }

    [Fact]
    public void Rules_written_for_every_path_are_the_published_ones_on_a_variance_preserving_one()
    {
        var schedule = NoiseSchedule.ScaledLinear();
        var ddpm = new DdpmFormulation(schedule);
        for (var t = 1; t < 1000; t += 111)
        {
            var step = new Transition(ddpm.PointAt(t), ddpm.PointAt(t - 1));
            double beta = schedule.Betas[t],
                now = schedule.AlphasCumprod[t],
                before = schedule.AlphasCumprod[t - 1];
            Assert.Equal(beta, step.ForwardVariance, 6);
            Assert.Equal((1 - before) / (1 - now) * beta, step.PosteriorVariance, 6);
        }
    }

    [Fact]
    public void From_pure_noise_every_rule_is_finite_and_forgets_it()
    {
        using var scope = TensorScope.Enter();
        var step = new Transition(new NoisePoint(1000, 0, 1), new NoisePoint(500, 0.5, 0.5));
        var (noisy, z0) = (Tensor.From([3f]), new Latent(Tensor.From([2f])));
        Assert.Equal(1, step.Ancestral(noisy, z0, null).Item(), 6);
        Assert.Equal(1 + 1.5, step.MultistepSecondOrder(noisy, z0, null).Item(), 6);
        Assert.Equal(0.25, step.PosteriorVariance, 12);
        var last = new Transition(new NoisePoint(500, 0.5, 0.5), new NoisePoint(0, 1, 0));
        Assert.Equal(2, last.MultistepSecondOrder(noisy, z0, (step, new Latent(Tensor.From([9f])))).Item(), 6);
        Assert.Equal(2, last.Ancestral(noisy, z0, Tensor.From([5f])).Item(), 6);
    }

    /// <summary>Distance from the exact flow between two fixed levels, in steps even in ln σ.</summary>
    private static double Error(Formulation formulation, SamplerKind kind, int steps)
    {
        using var scope = TensorScope.Enter();
        NoisePoint[] points =
        [
            .. Enumerable.Range(0, steps + 1).Select(k => AtSigma(formulation, 10 * Math.Pow(0.1 / 10, (double)k / steps))),
        ];
        var (from, to) = (points[0], points[^1]);
        var plan = new SamplingPlan([.. points.Zip(points.Skip(1), static (p, q) => new Transition(p, q))], 1);
        var noise = Tensor.From([-1.5f, -0.3f, 0.8f, 2f], 1, 1, 2, 2);
        var exact = ((noise - (from.A * Mean)) * (Spread(to) / Spread(from))) + (to.A * Mean);
        // A last step of first order would leave an error of second order.
        var loop = new SamplingLoop(formulation, new SamplerOptions { Kind = kind, LowerOrderFinal = kind != SamplerKind.UniPc }, plan);
        return (loop.Run(Ideal(formulation), () => noise).Value - exact).Abs().Max().Item();
    }

    private static NoisePoint AtSigma(Formulation formulation, double sigma) =>
        formulation is DdpmFormulation ddpm ? ddpm.PointOfSigma(sigma) : formulation.PointAt(1000 * sigma / (1 + sigma));

    private static double Spread(NoisePoint point) => Math.Sqrt((point.A * point.A * Deviation * Deviation) + (point.B * point.B));

    private static SamplingLoop.Predictor Ideal(Formulation formulation) =>
        (z, level) =>
        {
            var (a, b) = (level.A.View([-1L, 1, 1, 1]), level.B.View([-1L, 1, 1, 1]));
            var z0 = (a * (Deviation * Deviation) / ((a * a * (Deviation * Deviation)) + (b * b)) * (z - (a * Mean))) + Mean;
            var noise = (z - (a * z0)) / b;
            return new Prediction(
                formulation switch
                {
                    FlowFormulation => noise - z0,
                    DdpmFormulation { Prediction: PredictionType.VPrediction } => (a * noise) - (b * z0),
                    DdpmFormulation { Prediction: PredictionType.Sample } => z0,
                    _ => noise,
                }
            );
        };
}
