using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Samplers;
using Retouch.Samplers.Solvers;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>
/// Solvers without a golden: whole trajectories against <see cref="ScalarSolvers"/>, on independently computed levels.
/// </summary>
public sealed class SolverReferenceTests
{
    private const string Sd = """ "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012 """;
    private const string V = """ "prediction_type": "v_prediction", """;

    [Theory]
    [InlineData("EulerAncestralDiscreteScheduler", """ "timestep_spacing": "trailing", """, 12)]
    [InlineData("EulerAncestralDiscreteScheduler", V + """ "timestep_spacing": "leading", "steps_offset": 1, """, 20)]
    [InlineData("EulerAncestralDiscreteScheduler", V + """ "timestep_spacing": "trailing", "rescale_betas_zero_snr": true, """, 9)]
    [InlineData("HeunDiscreteScheduler", "", 10)]
    [InlineData("HeunDiscreteScheduler", V + """ "timestep_spacing": "leading", "steps_offset": 1, """, 12)]
    [InlineData("HeunDiscreteScheduler", V + """ "use_karras_sigmas": true, """, 7)]
    [InlineData("HeunDiscreteScheduler", """ "use_exponential_sigmas": true, """, 9)]
    [InlineData("LMSDiscreteScheduler", "", 15)]
    [InlineData("LMSDiscreteScheduler", V + """ "timestep_spacing": "leading", "steps_offset": 1, """, 10)]
    [InlineData("LMSDiscreteScheduler", """ "use_karras_sigmas": true, """, 12)]
    [InlineData("UniPCMultistepScheduler", "", 10)]
    [InlineData("UniPCMultistepScheduler", V + """ "solver_type": "bh1", "timestep_spacing": "leading", "steps_offset": 1, """, 20)]
    [InlineData("UniPCMultistepScheduler", """ "solver_order": 1, """, 8)]
    [InlineData("UniPCMultistepScheduler", """ "solver_order": 3, """, 12)]
    [InlineData(
        "UniPCMultistepScheduler",
        V + """ "solver_order": 3, "solver_type": "bh1", "lower_order_final": false, "timestep_spacing": "trailing", """,
        9
    )]
    [InlineData("UniPCMultistepScheduler", """ "use_karras_sigmas": true, """, 10)]
    [InlineData("UniPCMultistepScheduler", """ "final_sigmas_type": "sigma_min", "lower_order_final": false, """, 10)]
    [InlineData("UniPCMultistepScheduler", V + """ "timestep_spacing": "trailing", "rescale_betas_zero_snr": true, """, 8)]
    [InlineData("PNDMScheduler", """ "skip_prk_steps": true, "steps_offset": 1, """, 20)]
    [InlineData("PNDMScheduler", V + """ "skip_prk_steps": true, "steps_offset": 1, "set_alpha_to_one": true, """, 7)]
    [InlineData("PNDMScheduler", """ "skip_prk_steps": true, """, 1)]
    [InlineData("PNDMScheduler", """ "skip_prk_steps": true, """, 2)]
    public void A_trajectory_ends_where_the_published_formulas_lead(string name, string members, int steps)
    {
        using var scope = TensorScope.Enter();
        var config = JsonNode.Parse($$"""{ "_class_name": "{{name}}", {{members}} {{Sd}} }""")!.AsObject();
        var ddpm = (DdpmFormulation)FormulationFactory.FromSchedulerConfig(config);
        var options = SamplerOptions.FromSchedulerConfig(config);
        using var generator = Generator.Create(Device.Cpu, 5);
        var start = Ops.Randn([1, 2, 3, 3], generator);
        Tensor[] noises = [.. Enumerable.Range(0, steps).Select(_ => Ops.Randn([1, 2, 3, 3], generator))];
        var draws = 0;
        var drawn = new SamplingLoop(options, SamplingPlan.Create(ddpm, options, steps))
            .Run(new FunctionModel(ddpm, Network), new Condition(), () => draws++ == 0 ? start : noises[draws - 2])
            .Value.ToArray<float>();

        var levels = new Levels(ddpm, config, name, steps);
        var solvers = new ScalarSolvers(ddpm.Prediction == PredictionType.VPrediction, levels.Times, levels.Sigmas);
        var (first, fresh) = (start.ToArray<float>(), Array.ConvertAll(noises, static n => n.ToArray<float>()));
        // If noise remains at the end, x is not z yet.
        var last = 1 / Math.Sqrt(1 + (levels.Sigmas[^1] * levels.Sigmas[^1]));
        for (var k = 0; k < first.Length; k++)
        {
            var expected =
                options.Solver switch
                {
                    EulerAncestral => solvers.EulerAncestral(first[k] * levels.Start, step => fresh[step][k]),
                    Heun => solvers.Heun(first[k] * levels.Start),
                    Lms => solvers.LinearMultistep(first[k] * levels.Start),
                    Pndm => solvers.Plms(first[k], levels.Alphas()) / last,
                    UniPc u => solvers.UniPc(first[k], u.SolverOrder, u.Variant == UniPcVariant.Bh1, u.LowerOrderFinal) / last,
                    _ => throw new InvalidOperationException($"{options.Solver.Name} has its own golden."),
                } * last;
            Assert.True(
                Math.Abs(drawn[k] - expected) <= 1e-4 + (1e-4 * Math.Abs(expected)),
                $"Element {k}: {drawn[k]:R}, expected {expected:R}."
            );
        }
    }

    [Theory]
    [InlineData(1.0, 10)]
    [InlineData(3.0, 28)]
    public void Heun_on_a_flow_averages_velocities_at_Eulers_timesteps(double shift, int steps)
    {
        using var scope = TensorScope.Enter();
        var flow = new FlowFormulation(shift: shift);
        var options = new SamplerOptions { Solver = new Heun() };
        using var generator = Generator.Create(Device.Cpu, 6);
        var start = Ops.Randn([1, 2, 3, 3], generator);
        var drawn = new SamplingLoop(options, SamplingPlan.Create(flow, options, steps))
            .Run(new FunctionModel(flow, Network), new Condition(), () => start)
            .Value.ToArray<float>();
        double Shifted(double t) => shift * t / (1 + ((shift - 1) * t));
        double[] times = [.. Enumerable.Range(0, steps).Select(k => Shifted(1 + ((Shifted(0.001) - 1) * k / (steps - 1)))), 0];
        foreach (var (x, k) in start.ToArray<float>().Select(static (x, k) => ((double)x, k)))
        {
            var z = x;
            for (var step = 0; step < steps; step++)
            {
                double Velocity(double at, double t) => (0.3 * Math.Sin(at)) + (0.1 * t);
                var (v, width) = (Velocity(z, times[step]), times[step + 1] - times[step]);
                z += width * (step == steps - 1 ? v : (v + Velocity(z + (width * v), times[step + 1])) / 2);
            }

            Assert.True(Math.Abs(drawn[k] - z) <= 1e-4, $"Element {k}: {drawn[k]:R}, expected {z:R}.");
        }
    }

    [Fact]
    public void Solvers_in_lambda_visit_a_flows_own_levels()
    {
        foreach (var solver in (Solver[])[new DpmSolver2M(), new UniPc()])
        {
            // t uniform from 0.999 to 0, then s·t/(1 + (s − 1)·t); the network receives integer timesteps.
            var plan = SamplingPlan.Create(new FlowFormulation(shift: 3), new() { Solver = solver }, 3);
            double[] t = [3 * 0.999 / (1 + (2 * 0.999)), 3 * 0.666 / (1 + (2 * 0.666)), 3 * 0.333 / (1 + (2 * 0.333)), 0];
            for (var k = 0; k < 3; k++)
            {
                Assert.Equal(t[k], plan.Steps[k].From.B, 12);
                Assert.Equal(1 - t[k], plan.Steps[k].From.A, 12);
                Assert.Equal(t[k + 1], plan.Steps[k].To.B, 12);
                Assert.Equal(Math.Floor(1000 * t[k]), plan.Steps[k].From.Timestep);
            }

            Assert.Equal(1, plan.InitialScale);
        }
    }

    [Fact]
    public void Beta_levels_are_the_quantiles_of_the_beta_distribution()
    {
        // Beta(0.6, 0.6) is symmetric; its quartile is checked against its own integral, by the midpoint rule on u = x^0.6, which removes
        // the singularity.
        var levels = SigmaLevels.Create(SigmaSpacing.Beta, 2, 12, 5);
        Assert.Equal([12.0, 7, 2], [levels[0], Math.Round(levels[2], 9), levels[4]]);
        var quartile = (levels[3] - 2) / 10;
        static double Mass(double to) =>
            Enumerable
                .Range(0, 200_000)
                .Sum(k =>
                {
                    var u = (k + 0.5) / 200_000 * Math.Pow(to, 0.6);
                    return Math.Pow(1 - Math.Pow(u, 1 / 0.6), -0.4) * Math.Pow(to, 0.6) / 0.6 / 200_000;
                });
        Assert.Equal(0.25, Mass(quartile) / (2 * Mass(0.5)), 6);
        Assert.Equal(14 - levels[3], levels[1], 9);
    }

    private static Tensor Network(Tensor z, NoiseLevel level) => (z.Sin() * 0.3) + (level.Timestep.View([-1L, 1, 1, 1]) * (0.1 / 1000));

    /// <summary>Timesteps and levels of diffusers' schedulers, from the schedule's variances.</summary>
    private sealed class Levels
    {
        private readonly double[] _alphas;
        private readonly double[] _table;

        public Levels(DdpmFormulation ddpm, JsonObject config, string name, int steps)
        {
            _alphas = Array.ConvertAll(ddpm.Schedule.AlphasCumprod.ToArray(), static a => (double)a);
            if (_alphas[^1] == 0)
                _alphas[^1] = Math.Pow(2, -24);
            _table = Array.ConvertAll(_alphas, static a => Math.Sqrt((1 - a) / a));
            var inLambda = name.StartsWith("UniPC", StringComparison.Ordinal);
            var (points, offset) = (inLambda ? steps + 1 : steps, (int?)config["steps_offset"] ?? 0);
            var isPndm = name == "PNDMScheduler";
            var spacing = isPndm ? "leading" : (string?)config["timestep_spacing"] ?? "linspace";
            Times =
            [
                .. Enumerable
                    .Range(0, steps)
                    .Select(k =>
                        spacing switch
                        {
                            "leading" => ((points - 1 - k) * (1000 / points)) + offset,
                            "trailing" => Math.Round(1000 - (k * 1000.0 / steps)) - 1,
                            _ => inLambda ? Math.Round((points - 1 - k) * 999.0 / (points - 1)) : (points - 1 - k) * 999.0 / (points - 1),
                        }
                    ),
            ];
            var karras = (bool?)config["use_karras_sigmas"] ?? false;
            double[] levels = [.. Times.Select(Sigma)];
            if (karras || ((bool?)config["use_exponential_sigmas"] ?? false))
            {
                var (high, low) = inLambda ? (_table[^1], _table[0]) : (levels[0], levels[^1]);
                double Level(double part) =>
                    karras
                        ? Math.Pow(Math.Pow(high, 1 / 7.0) + (part * (Math.Pow(low, 1 / 7.0) - Math.Pow(high, 1 / 7.0))), 7)
                        : high * Math.Pow(low / high, part);
                levels = [.. Enumerable.Range(0, steps).Select(k => Level(k / (steps - 1.0)))];
                Times = Array.ConvertAll(levels, s => inLambda ? Math.Round(Time(s)) : Time(s));
            }

            var end =
                (string?)config["final_sigmas_type"] == "sigma_min" || (isPndm && !((bool?)config["set_alpha_to_one"] ?? false))
                    ? _table[0]
                    : 0;
            Sigmas = [.. levels, end];
            Start = spacing == "leading" ? Math.Sqrt(1 + (levels[0] * levels[0])) : levels[0];
        }

        public double[] Times { get; }

        public double[] Sigmas { get; }

        /// <summary>Factor of the normal noise, in x.</summary>
        public double Start { get; }

        public double[] Alphas() => Array.ConvertAll(Sigmas, static s => 1 / (1 + (s * s)));

        private double Sigma(double t)
        {
            var k = Math.Min((int)t, 998);
            return _table[k] + ((t - k) * (_table[k + 1] - _table[k]));
        }

        /// <summary>Linear interpolation in ln σ.</summary>
        private double Time(double sigma)
        {
            var k = Math.Clamp(Array.FindLastIndex(_table, s => s <= sigma), 0, 998);
            return k + Math.Clamp(Math.Log(sigma / _table[k]) / Math.Log(_table[k + 1] / _table[k]), 0, 1);
        }
    }
}
