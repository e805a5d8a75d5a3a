using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Samplers;
using Retouch.Samplers.Solvers;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>Tables and whole trajectories of diffusers' schedulers, each with its own configuration.</summary>
public sealed class SchedulerGoldenTests
{
    [Theory]
    [InlineData("scheduler_ddim", "leading_eps")]
    [InlineData("scheduler_ddim", "leading_eps_eta05")]
    [InlineData("scheduler_ddim", "trailing_v")]
    [InlineData("scheduler_ddim", "linspace_eps")]
    [InlineData("scheduler_ddim", "alpha_one_v_eta1")]
    [InlineData("scheduler_ddim", "linear_clip_sample")]
    [InlineData("scheduler_ddim", "zero_snr_trailing_v")]
    [InlineData("scheduler_ddpm", "linear_dit")]
    [InlineData("scheduler_ddpm", "scaled_linear_v")]
    [InlineData("scheduler_ddpm", "large_variance")]
    [InlineData("scheduler_euler", "sdxl_leading")]
    [InlineData("scheduler_euler", "karras_trailing_v")]
    [InlineData("scheduler_dpmpp_2m", "leading")]
    [InlineData("scheduler_dpmpp_2m", "karras")]
    [InlineData("scheduler_dpmpp_2m", "v_trailing")]
    [InlineData("scheduler_flow_euler", "shift1")]
    [InlineData("scheduler_flow_euler", "shift3")]
    public void Trajectories_equal_the_golden(string name, string entry)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        var (formulation, options, given) = Read(golden, entry);
        // The golden's timesteps are diffusers'.
        if (options.Solver is Ddim { } ddim)
        {
            var compatible = new DdimCompatible
            {
                Eta = ddim.Eta,
                SetAlphaToOne = ddim.SetAlphaToOne,
                ClipRange = ddim.ClipRange,
            };
            options = options with { Solver = compatible };
        }

        var plan = SamplingPlan.Create(formulation, options, (int)given["steps"]!);
        // diffusers' Euler keeps z_t/a_t, its sample in σ.
        var inSigma = options.Solver is Euler && formulation is DdpmFormulation;
        CheckPlan(golden, $"out.{entry}", plan, inSigma);

        List<Tensor> trajectory = [],
            estimates = [];
        var draws = 0;
        var stepNoise = golden.Read("in.step_noise");
        var final = new SamplingLoop(options, plan).Run(
            new FunctionModel(formulation, static (z, level) => (z.Sin() * 0.3) + (level.Timestep.View([-1L, 1, 1, 1]) * (0.1 / 1000))),
            new Condition(),
            () => draws++ == 0 ? golden.Read("in.x_init") : stepNoise.Select(0, draws - 2),
            state =>
            {
                trajectory.Add((state.Noisy.Value / (inSigma ? plan.Steps[state.Step - 1].To.A : 1)).Clone().Escape());
                estimates.Add(state.Estimate.Value.Clone().Escape());
            }
        );
        var start = golden.Read("in.x_init") * (plan.InitialScale / (inSigma ? plan.Steps[0].From.A : 1));
        golden.Check($"out.{entry}.trajectory", Ops.Stack([start, .. trajectory]));
        if (golden.Has($"out.{entry}.pred_original_sample"))
            golden.Check($"out.{entry}.pred_original_sample", Ops.Stack([.. estimates]));
        Assert.Equal(final.Value.ToArray<float>(), trajectory[^1].ToArray<float>());
        trajectory.ForEach(static t => t.Dispose());
        estimates.ForEach(static t => t.Dispose());
    }

    [Theory]
    [InlineData("scheduler_ddim", "leading_eps")]
    [InlineData("scheduler_ddim", "zero_snr_trailing_v")]
    [InlineData("scheduler_ddpm", "linear_dit")]
    [InlineData("scheduler_ddpm", "scaled_linear_v")]
    [InlineData("scheduler_ddpm", "cosine")]
    public void Schedule_tables_equal_the_golden(string name, string entry)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        var schedule = ((DdpmFormulation)Read(golden, entry).Formulation).Schedule;
        golden.Check($"out.{entry}.betas", Tensor.From(schedule.Betas));
        golden.Check($"out.{entry}.alphas_cumprod", Tensor.From(schedule.AlphasCumprod));
        // Rounding of linspace depends on the processor's instructions and on libtorch's version. With unit u, step·k, the sum and the step
        // itself are rounded (3u), the square has twice that and one more (7u), in the golden as here. Rescaled, β is 1 minus a ratio near
        // 1, whose rounding (two roots and squares: 8u, twice) is an absolute error of the small difference.
        const double Unit = 1.0 / (1 << 24);
        var betas = golden.Read($"out.{entry}.betas").ToArray<float>();
        // Rescaled, β is 1 minus the squared ratio of two √ᾱ minus the last one. Their rounding (4u) is amplified by √ᾱ over the remainder.
        var signals = golden.Read($"out.{entry}.alphas_cumprod").ToArray<float>();
        var usual = NoiseSchedule.Create(schedule.Shape!.Value, schedule.BetaStart, schedule.BetaEnd, betas.Length);
        var last = Math.Sqrt(usual.AlphasCumprod[^1]);
        for (var k = 0; k < betas.Length; k++)
        {
            var grown = signals[k] > 0 ? 1 + (last / Math.Sqrt(signals[k])) : 0;
            var bound = schedule.ZeroTerminalSnr ? Unit * (16 + (2 * 4 * (1 - betas[k]) * grown)) : 14 * Unit * betas[k];
            Assert.InRange(schedule.Betas[k], betas[k] - bound, betas[k] + bound);
        }
        var v = new DdpmFormulation(schedule, PredictionType.VPrediction);
        var level = v.LevelsAt(golden.Read("in.timesteps").ToArray<double>(), Device.Cpu);
        var noisy = v.AddNoise(new Latent(golden.Read("in.x0")), golden.Read("in.noise"), level);
        golden.Check($"out.{entry}.add_noise", noisy.Value);
        golden.Check($"out.{entry}.velocity", v.Target(noisy));
    }

    [Theory]
    [InlineData("shift1")]
    [InlineData("shift3")]
    public void Training_timesteps_of_a_flow_equal_the_golden(string entry)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("scheduler_flow_euler");
        var flow = (FlowFormulation)Read(golden, entry).Formulation;
        double[] times = [.. Enumerable.Range(0, 1000).Select(k => 1000 * FlowFormulation.ShiftTime((1000 - k) / 1000.0, flow.Shift))];
        golden.Check($"out.{entry}.train_timesteps", Tensor.From(Array.ConvertAll(times, static t => (float)t)));
        golden.Check($"out.{entry}.train_sigmas", flow.LevelsAt(times, Device.Cpu).B);
        var level = flow.LevelsAt(Array.ConvertAll(golden.Read("in.flow_index").ToArray<int>(), k => times[k]), Device.Cpu);
        golden.Check($"out.{entry}.scale_noise", flow.AddNoise(new Latent(golden.Read("in.x0")), golden.Read("in.noise"), level).Value);
    }

    [Theory]
    [InlineData("shift1")]
    [InlineData("shift3")]
    public void Ddim_on_a_flow_equals_Euler(string entry)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("scheduler_flow_euler");
        var (flow, euler, given) = Read(golden, entry);
        var plan = SamplingPlan.Create(flow, euler, (int)given["steps"]!);
        Latent Run(SamplerOptions options) =>
            new SamplingLoop(options, plan).Run(
                new FunctionModel(flow, static (z, _) => z.Sin()),
                new Condition(),
                () => golden.Read("in.x_init")
            );
        Assert.Equal(Run(euler).Value.ToArray<float>(), Run(euler with { Solver = new Ddim() }).Value.ToArray<float>());
    }

    private static void CheckPlan(GoldenCase golden, string entry, SamplingPlan plan, bool inSigma)
    {
        golden.Check($"{entry}.timesteps", Tensor.From([.. plan.Steps.Select(static s => (float)s.From.Timestep)]));
        if (golden.Has($"{entry}.init_noise_sigma"))
            golden.Check($"{entry}.init_noise_sigma", Tensor.Scalar(plan.InitialScale / (inSigma ? plan.Steps[0].From.A : 1)));
        if (golden.Has($"{entry}.sigmas") && plan.Steps[0].From.A > 0)
            golden.Check(
                $"{entry}.sigmas",
                Tensor.From([.. plan.Steps.Select(static s => (float)s.From.Sigma), (float)plan.Steps[^1].To.Sigma])
            );
        else if (golden.Has($"{entry}.sigmas"))
            golden.Check($"{entry}.sigmas", Tensor.From([.. plan.Steps.Select(static s => (float)s.From.B), (float)plan.Steps[^1].To.B]));
    }

    private static (Formulation Formulation, SamplerOptions Options, JsonObject Given) Read(GoldenCase golden, string entry)
    {
        var given = golden.Document["params"]!["entries"]![entry]!.AsObject();
        var config = given["config"]!.DeepClone().AsObject();
        config["_class_name"] = (string?)given["class"];
        var options = SamplerOptions.FromSchedulerConfig(config);
        if ((double?)given["eta"] is { } eta)
            options = options with { Solver = (Ddim)options.Solver with { Eta = eta } };
        return (FormulationFactory.FromSchedulerConfig(config), options, given);
    }
}
