using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Samplers;
using Retouch.Samplers.Solvers;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>
/// Normal data N(μ, s²) with known optimal denoiser and flow: E[z0 | z_t] = μ + a·s²/(a²s² + b²)·(z_t − a·μ), and the probability flow
/// preserves (z_t − a·μ)/√(a²s² + b²).
/// </summary>
public sealed class ConvergenceTests
{
    private const double Mean = 0.7;
    private const double Deviation = 0.4;

    /// <summary>All methods with a stated order, of the library and of this test assembly, for every supported formulation.</summary>
    public static TheoryData<string, string> Ordered()
    {
        var data = new TheoryData<string, string>();
        foreach (var solver in Solvers().Where(static s => s.Order is not null))
        {
            foreach (var name in (string[])["eps", "v", "flow"])
            {
                if (!solver.Validate(new SamplerOptions { Solver = solver }, Diffusion.FormulationTests.Create(name)).Any())
                    data.Add(solver.Name, name);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Ordered))]
    public void The_error_shrinks_with_the_order_of_the_method(string solver, string name) =>
        CheckOrder(Solvers().Single(s => s.Name == solver), name);

    [Theory]
    [InlineData("eps")]
    [InlineData("v")]
    [InlineData("flow")]
    public void Without_a_last_step_of_lower_order_UniPC_has_order_three(string name) =>
        CheckOrder(new UniPc { LowerOrderFinal = false }, name);

    [Fact]
    public void Solvers_are_found_by_type()
    {
        Assert.Superset(
            new HashSet<string> { "ddim", "euler", "heun", "dpmpp-2m", "unipc", "test-ab2" },
            Ordered().Select(static row => (string)row[0]).ToHashSet()
        );
        Assert.Equal(Solvers().Count, Solvers().Select(static s => s.Name).Distinct().Count());
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("eps", "ddpm", 0.0)]
    [InlineData("v", "ddpm", 0.0)]
    [InlineData("flow", "ddpm", 0.0)]
    [InlineData("eps", "ddim", 1.0)]
    [InlineData("flow", "ddim", 0.5)]
    [InlineData("zero-snr v", "ddim", 0.0)]
    [InlineData("sample", "ddpm", 0.0)]
    [InlineData("eps", "euler-a", 0.0)]
    [InlineData("zero-snr v", "euler-a", 0.0)]
    [InlineData("flow", "euler-a", 0.0)]
    [InlineData("zero-snr v", "heun", 0.0)]
    [InlineData("flow", "heun", 0.0)]
    [InlineData("zero-snr v", "unipc", 0.0)]
    [InlineData("zero-snr v", "dpmpp-2m", 0.0)]
    [InlineData("flow", "unipc", 0.0)]
    [InlineData("zero-snr v", "lms", 0.0)]
    public void Samples_have_the_mean_and_deviation_of_the_data(string name, string solver, double eta)
    {
        using var scope = TensorScope.Enter();
        var formulation = Diffusion.FormulationTests.Create(name);
        var options = new SamplerOptions { Solver = eta > 0 ? new Ddim { Eta = eta } : SamplerNames.Parse(solver).Solver };
        using var noise = new ImageNoise([1, 2], [4, 64, 64], Device.Cpu);
        // The smaller variance of ancestral sampling is that of the posterior for point-mass data: it narrows the result for finite steps.
        var steps = options.Solver is Ddpm or EulerAncestral ? 1000 : 200;
        var drawn = new SamplingLoop(options, SamplingPlan.Create(formulation, options, steps))
            .Run(Ideal(formulation), new Condition(), noise.Draw)
            .Value;
        // 32,768 numbers: the standard error of the mean is 0.0022, that of the deviation 0.0016; the rest is discretisation.
        Assert.InRange(drawn.Mean().Item(), Mean - 0.011, Mean + 0.011);
        Assert.InRange(drawn.Std([0L, 1, 2, 3], correction: 1).Item(), Deviation - 0.016, Deviation + 0.016);
    }

    [Fact]
    public void General_rules_equal_the_published_variance_preserving_ones()
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
    public void Every_rule_is_finite_at_pure_noise()
    {
        using var scope = TensorScope.Enter();
        var step = new Transition(new NoisePoint(1000, 0, 1), new NoisePoint(500, 0.5, 0.5));
        var (noisy, z0) = (Tensor.From([3f]), new Latent(Tensor.From([2f])));
        Assert.Equal(1, Ddpm.Rule(step, noisy, z0, null).Item(), 6);
        Assert.Equal(1 + 1.5, DpmSolver2M.Rule(step, noisy, z0, null).Item(), 6);
        Assert.Equal(0.25, step.PosteriorVariance, 12);
        var last = new Transition(new NoisePoint(500, 0.5, 0.5), new NoisePoint(0, 1, 0));
        Assert.Equal(2, DpmSolver2M.Rule(last, noisy, z0, (step, new Latent(Tensor.From([9f])))).Item(), 6);
        Assert.Equal(2, Ddpm.Rule(last, noisy, z0, Tensor.From([5f])).Item(), 6);
    }

    private static IReadOnlyList<Solver> Solvers() => [.. SolverCatalog.All, .. SolverCatalog.In(typeof(ConvergenceTests).Assembly)];

    private static void CheckOrder(Solver solver, string name)
    {
        using var scope = TensorScope.Enter();
        var formulation = Diffusion.FormulationTests.Create(name);
        var (coarse, fine) = (Error(formulation, solver, 24), Error(formulation, solver, 48));
        var measured = Math.Log2(coarse / fine);
        Assert.True(
            Math.Abs(measured - solver.Order!.Value) < 0.3,
            $"Errors {coarse:R} with 24 and {fine:R} with 48 steps: order {measured:F2}, expected {solver.Order}."
        );
    }

    /// <summary>Distance from the exact flow between two fixed levels, with steps uniform in ln σ.</summary>
    private static double Error(Formulation formulation, Solver solver, int steps)
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
        var loop = new SamplingLoop(new SamplerOptions { Solver = solver }, plan);
        return (loop.Run(Ideal(formulation), new Condition(), () => noise).Value - exact).Abs().Max().Item();
    }

    private static NoisePoint AtSigma(Formulation formulation, double sigma) =>
        formulation is DdpmFormulation ddpm ? ddpm.PointOfSigma(sigma) : formulation.PointAt(1000 * sigma / (1 + sigma));

    private static double Spread(NoisePoint point) => Math.Sqrt((point.A * point.A * Deviation * Deviation) + (point.B * point.B));

    private static FunctionModel Ideal(Formulation formulation) =>
        new(
            formulation,
            (z, level) =>
            {
                var (a, b) = (level.A.View([-1L, 1, 1, 1]), level.B.View([-1L, 1, 1, 1]));
                var z0 = (a * (Deviation * Deviation) / ((a * a * (Deviation * Deviation)) + (b * b)) * (z - (a * Mean))) + Mean;
                var noise = (z - (a * z0)) / b;
                return formulation switch
                {
                    FlowFormulation => noise - z0,
                    DdpmFormulation { Prediction: PredictionType.VPrediction } => (a * noise) - (b * z0),
                    DdpmFormulation { Prediction: PredictionType.Sample } => z0,
                    _ => noise,
                };
            }
        );
}
