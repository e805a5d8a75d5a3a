using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Samplers.Solvers;

namespace Retouch.Tests.Samplers;

/// <summary>Sampling options in published scheduler configurations.</summary>
public sealed class SchedulerConfigTests
{
    /// <summary>Defaults of diffusers 0.40.</summary>
    [Theory]
    [InlineData("LCMScheduler", 0.00085, 0.012, true)]
    [InlineData("TCDScheduler", 0.00085, 0.012, true)]
    [InlineData("KDPM2DiscreteScheduler", 0.00085, 0.012, false)]
    [InlineData("KDPM2AncestralDiscreteScheduler", 0.00085, 0.012, false)]
    [InlineData("DPMSolverSDEScheduler", 0.00085, 0.012, false)]
    [InlineData("SASolverScheduler", 0.0001, 0.02, false)]
    public void Models_of_other_schedulers_need_a_named_sampler(string name, double start, double end, bool scaled)
    {
        var json = new JsonObject { ["_class_name"] = name, ["timestep_scaling"] = 10.0 };
        var schedule = Assert.IsType<DdpmFormulation>(FormulationFactory.FromSchedulerConfig(json)).Schedule;
        var expected = scaled ? NoiseSchedule.ScaledLinear(start, end) : NoiseSchedule.Linear(start, end);
        Assert.Equal(expected.Betas.ToArray(), schedule.Betas.ToArray());
        Assert.IsType<Euler>(SchedulerConfig.Read(json, solver: new Euler()).Options.Solver);
        Assert.Contains(
            "--sampler " + "ddim",
            Assert.Throws<InputException>(() => SchedulerConfig.Read(json)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(name, SchedulerConfig.ReadOrUsual(json).Note, StringComparison.Ordinal);
        Assert.Equal(name, (string?)FormulationFactory.ToSchedulerConfig(new DdpmFormulation(schedule), json)["_class_name"]);
    }

    [Theory]
    [InlineData(
        """{ "_class_name": "PNDMScheduler", "steps_offset": 1, "skip_prk_steps": true, "set_alpha_to_one": false }""",
        "pndm",
        TimestepSpacing.Leading,
        1
    )]
    [InlineData(
        """{ "_class_name": "DDIMScheduler", "timestep_spacing": "trailing", "steps_offset": 1, "set_alpha_to_one": false }""",
        "ddim",
        TimestepSpacing.Trailing,
        0
    )]
    [InlineData(
        """{ "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", "steps_offset": 1, "interpolation_type": "linear" }""",
        "euler",
        TimestepSpacing.Leading,
        1
    )]
    [InlineData(
        """{ "_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing" }""",
        "euler-a",
        TimestepSpacing.Trailing,
        0
    )]
    [InlineData("""{ "_class_name": "HeunDiscreteScheduler" }""", "heun", TimestepSpacing.Linspace, 0)]
    [InlineData("""{ "_class_name": "LMSDiscreteScheduler" }""", "lms", TimestepSpacing.Linspace, 0)]
    [InlineData(
        """{ "_class_name": "DPMSolverMultistepScheduler", "solver_order": 2, "solver_type": "midpoint" }""",
        "dpmpp-2m",
        TimestepSpacing.Linspace,
        0
    )]
    [InlineData(
        """{ "_class_name": "UniPCMultistepScheduler", "solver_type": "bh2", "disable_corrector": [] }""",
        "unipc",
        TimestepSpacing.Linspace,
        0
    )]
    [InlineData("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0 }""", "euler", TimestepSpacing.Trailing, 0)]
    [InlineData("""{ "_class_name": "FlowMatchHeunDiscreteScheduler", "shift": 3.0 }""", "heun", TimestepSpacing.Trailing, 0)]
    [InlineData(
        """
            { "_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": true,
            "flow_shift": 3.0 }
            """,
        "dpmpp-2m",
        TimestepSpacing.Trailing,
        0
    )]
    public void A_models_own_configuration_says_how_it_is_sampled(string json, string solver, TimestepSpacing spacing, int offset)
    {
        var config = Parse(json);
        var (options, note) = SchedulerConfig.Read(config);
        Assert.Equal((SamplerNames.Parse(solver).Solver, spacing, offset), (options.Solver, options.Spacing, options.StepsOffset));
        Assert.Null(note);
        Assert.Empty(options.Validate(FormulationFactory.FromSchedulerConfig(config)));
    }

    [Fact]
    public void Members_for_levels_and_orders_are_read()
    {
        var options = Options(
            """
            { "_class_name": "UniPCMultistepScheduler", "solver_type": "bh1", "solver_order": 3, "lower_order_final": false,
            "final_sigmas_type": "sigma_min", "use_exponential_sigmas": true }
            """
        );
        Assert.Equal(
            new()
            {
                Solver = new UniPc
                {
                    SolverOrder = 3,
                    Variant = UniPcVariant.Bh1,
                    LowerOrderFinal = false,
                    EndAtLeastNoise = true,
                },
                Spacing = TimestepSpacing.Linspace,
                Sigmas = SigmaSpacing.Exponential,
            },
            options
        );
        Assert.Equal(SigmaSpacing.Karras, Options("""{ "_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true }""").Sigmas);
        Assert.Equal(SigmaSpacing.Beta, Options("""{ "_class_name": "HeunDiscreteScheduler", "use_beta_sigmas": true }""").Sigmas);
        Assert.Equal(
            new Euler { EndAtLeastNoise = true },
            Options("""{ "_class_name": "EulerDiscreteScheduler", "final_sigmas_type": "sigma_min" }""").Solver
        );
        Assert.Equal(
            new Ddpm { ClipRange = 2 },
            Options("""{ "_class_name": "DDPMScheduler", "clip_sample": true, "clip_sample_range": 2 }""").Solver
        );
        Assert.Equal(
            new Ddpm { LargeVariance = true },
            Options("""{ "_class_name": "DDPMScheduler", "variance_type": "fixed_large" }""").Solver
        );
        Assert.Equal(new Ddim { SetAlphaToOne = true }, Options("""{ "_class_name": "DDIMScheduler" }""").Solver);
    }

    [Fact]
    public void Another_solver_uses_the_common_members()
    {
        var json = Parse(
            """
            { "_class_name": "PNDMScheduler", "steps_offset": 1, "skip_prk_steps": false, "timestep_spacing": "leading",
            "beta_schedule": "scaled_linear" }
            """
        );
        foreach (var solver in SolverCatalog.All)
        {
            var (options, note) = SchedulerConfig.Read(json, solver: solver);
            Assert.Equal((solver, TimestepSpacing.Leading, 1), (options.Solver, options.Spacing, options.StepsOffset));
            Assert.Null(note);
            Assert.Empty(options.Validate(FormulationFactory.FromSchedulerConfig(json)));
        }

        var flow = Parse("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0 }""");
        Assert.Equal(new UniPc(), SchedulerConfig.Read(flow, solver: new UniPc()).Options.Solver);
        // A flow's own range: reported, not replaced silently.
        Assert.Equal(
            ["sampler.solver: PNDM is for DDPM networks; sample a flow with euler, heun, dpmpp-2m or unipc."],
            SchedulerConfig.Read(flow, solver: new Pndm()).Options.Validate(FormulationFactory.FromSchedulerConfig(flow))
        );
    }

    [Theory]
    [InlineData("DPMSolverSinglestepScheduler")]
    [InlineData("DEISMultistepScheduler")]
    public void A_related_scheduler_is_named(string name)
    {
        var (options, note) = SchedulerConfig.Read(Parse($$"""{ "_class_name": "{{name}}", "solver_order": 2 }"""));
        Assert.Equal(new DpmSolver2M(), options.Solver);
        Assert.Contains(name, note, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "_class_name": "EDMEulerScheduler" }""", "_class_name")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "thresholding": true }""", "thresholding")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "timestep_spacing": "karras" }""", "timestep_spacing")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "steps_offset": -1 }""", "steps_offset")]
    [InlineData("""{ "_class_name": "PNDMScheduler" }""", "skip_prk_steps")]
    [InlineData("""{ "_class_name": "PNDMScheduler", "skip_prk_steps": true, "timestep_spacing": "trailing" }""", "timestep_spacing")]
    [InlineData("""{ "_class_name": "DDPMScheduler", "variance_type": "learned_range" }""", "variance_type")]
    [InlineData("""{ "_class_name": "EulerDiscreteScheduler", "interpolation_type": "log_linear" }""", "interpolation_type")]
    [InlineData("""{ "_class_name": "EulerDiscreteScheduler", "timestep_type": "continuous" }""", "timestep_type")]
    [InlineData("""{ "_class_name": "EulerDiscreteScheduler", "sigma_max": 80.0 }""", "sigma_max")]
    [InlineData("""{ "_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true, "use_beta_sigmas": true }""", "use_beta_sigmas")]
    [InlineData("""{ "_class_name": "EulerDiscreteScheduler", "final_sigmas_type": "half" }""", "final_sigmas_type")]
    [InlineData("""{ "_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++" }""", "sde-dpmsolver++")]
    [InlineData("""{ "_class_name": "DPMSolverMultistepScheduler", "solver_order": 3 }""", "solver_order")]
    [InlineData("""{ "_class_name": "DPMSolverMultistepScheduler", "solver_type": "heun" }""", "solver_type")]
    [InlineData("""{ "_class_name": "DPMSolverMultistepScheduler", "euler_at_final": true }""", "euler_at_final")]
    [InlineData("""{ "_class_name": "DPMSolverMultistepScheduler", "use_lu_lambdas": true }""", "use_lu_lambdas")]
    [InlineData("""{ "_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -5.1 }""", "lambda_min_clipped")]
    [InlineData("""{ "_class_name": "DPMSolverMultistepScheduler", "variance_type": "learned" }""", "variance_type")]
    [InlineData("""{ "_class_name": "UniPCMultistepScheduler", "predict_x0": false }""", "predict_x0")]
    [InlineData("""{ "_class_name": "UniPCMultistepScheduler", "solver_order": 4 }""", "solver_order")]
    [InlineData("""{ "_class_name": "UniPCMultistepScheduler", "disable_corrector": [0] }""", "disable_corrector")]
    [InlineData("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift_terminal": 0.1 }""", "shift_terminal")]
    [InlineData("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true }""", "invert_sigmas")]
    [InlineData("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "stochastic_sampling": true }""", "stochastic_sampling")]
    [InlineData("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_karras_sigmas": true }""", "use_karras_sigmas")]
    public void Unsupported_configurations_are_named(string json, string member)
    {
        var error = Assert.Throws<InputException>(() => SchedulerConfig.Read(Parse(json), "model/scheduler_config.json"));
        Assert.Contains(member, error.Message, StringComparison.Ordinal);
        Assert.Contains("model/scheduler_config.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Python_infinities_are_read_and_kept()
    {
        const string Text = """
            {
              "_class_name": "DPMSolverMultistepScheduler",
              "note": "-Infinity \" Infinity",
              "lambda_min_clipped": -Infinity,
              "steps_offset": 0
            }
            """;
        var document = ConfigDocument.Parse(Text, "scheduler_config.json");
        Assert.Equal("-Infinity \" Infinity", (string?)document.Json["note"]);
        Assert.Equal(new DpmSolver2M(), SamplerOptions.FromSchedulerConfig(document.Json).Solver);
        var after = document.Json;
        after["steps_offset"] = 1;
        var changed = document.Change(document.Json, after);
        Assert.Contains("\"lambda_min_clipped\": -Infinity,", changed.Text, StringComparison.Ordinal);
        Assert.Equal(1, (int?)changed.Json["steps_offset"]);
        Assert.Throws<InputException>(() => ConfigDocument.Parse("""{ "a": Infinit }""", "config.json"));
    }

    private static SamplerOptions Options(string json) => SamplerOptions.FromSchedulerConfig(Parse(json));

    private static JsonObject Parse(string json) => JsonNode.Parse(json)!.AsObject();
}
