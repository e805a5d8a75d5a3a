using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Tests.Diffusion;

/// <summary>Reading and writing of scheduler_config.json.</summary>
public sealed class FormulationFactoryTests
{
    private const string StableDiffusion = """
        {
          "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
          "beta_start": 0.00085,
          "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
          "clip_sample": false
        }
        """;

    [Fact]
    public void Schedules_of_published_models_survive_a_round_trip()
    {
        var json = Parse(StableDiffusion);
        var ddpm = Assert.IsType<DdpmFormulation>(FormulationFactory.FromSchedulerConfig(json));
        Assert.Equal(
            (PredictionType.Epsilon, BetaSchedule.ScaledLinear, 1000, false),
            (ddpm.Prediction, ddpm.Schedule.Shape, ddpm.TrainSteps, ddpm.Schedule.ZeroTerminalSnr)
        );
        Assert.Equal(14.6146, ddpm.PointAt(999).Sigma, 4);
        var written = FormulationFactory.ToSchedulerConfig(ddpm, json);
        foreach (var (name, value) in json)
            Assert.True(JsonNode.DeepEquals(value, written[name]), name);
        Assert.Equal("epsilon", (string?)written["prediction_type"]);
    }

    [Theory]
    [InlineData("eps")]
    [InlineData("v")]
    [InlineData("sample")]
    [InlineData("zero-snr v")]
    [InlineData("cosine v")]
    [InlineData("flow")]
    public void Written_values_are_read_back(string name)
    {
        var before = FormulationTests.Create(name);
        var after = FormulationFactory.FromSchedulerConfig(Parse(FormulationFactory.ToSchedulerConfig(before).ToJsonString()));
        Assert.Equal(before.GetType(), after.GetType());
        foreach (var time in (double[])[0, 17, 500.5, 999])
            Assert.Equal(before.PointAt(time), after.PointAt(time));
        Assert.Equal((before as DdpmFormulation)?.Prediction, (after as DdpmFormulation)?.Prediction);
    }

    [Fact]
    public void Trained_betas_survive_a_round_trip()
    {
        var schedule = NoiseSchedule.FromBetas([0.1f, 0.2f, 0.3f, 0.5f], zeroTerminalSnr: true);
        var json = FormulationFactory.ToSchedulerConfig(new DdpmFormulation(schedule, PredictionType.Sample));
        var after = Assert.IsType<DdpmFormulation>(FormulationFactory.FromSchedulerConfig(Parse(json.ToJsonString())));
        Assert.Equal(schedule.AlphasCumprod.ToArray(), after.Schedule.AlphasCumprod.ToArray());
        Assert.Equal(4, after.TrainSteps);
    }

    [Fact]
    public void A_flow_keeps_its_shift_and_another_family_changes_the_class()
    {
        var flow = Assert.IsType<FlowFormulation>(
            FormulationFactory.FromSchedulerConfig(
                Parse("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0 }""")
            )
        );
        Assert.Equal(3, flow.Shift);
        var written = FormulationFactory.ToSchedulerConfig(flow, Parse(StableDiffusion));
        Assert.Equal("FlowMatchEulerDiscreteScheduler", (string?)written["_class_name"]);
        Assert.False(written.ContainsKey("beta_schedule"));
        var solver = Parse(
            """
            { "_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction", "flow_shift": 2.5,
            "use_flow_sigmas": true }
            """
        );
        flow = Assert.IsType<FlowFormulation>(FormulationFactory.FromSchedulerConfig(solver));
        Assert.Equal(2.5, flow.Shift);
        Assert.Equal("DPMSolverMultistepScheduler", (string?)FormulationFactory.ToSchedulerConfig(flow, solver)["_class_name"]);
    }

    [Fact]
    public void A_resolution_dependent_shift_survives_a_round_trip()
    {
        var json = Parse(
            """
            { "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "use_dynamic_shifting": true, "base_shift": 0.5,
            "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096 }
            """
        );
        var flow = Assert.IsType<FlowFormulation>(FormulationFactory.FromSchedulerConfig(json));
        // Trained unshifted; μ of 256 and 4096 tokens (latents of 32 and 128 with patches of 2×2) are the two numbers themselves.
        Assert.Equal(1, flow.Shift);
        Assert.Equal(Math.Exp(0.5), flow.ShiftFor(DynamicShift.Tokens(32, 32)), 12);
        Assert.Equal(Math.Exp(1.15), flow.ShiftFor(DynamicShift.Tokens(128, 128)), 12);
        Assert.Equal(Math.Exp((0.5 + 1.15) / 2), flow.ShiftFor(2176), 12);
        Assert.Throws<UsageException>(() => flow.ShiftFor(null));
        var written = FormulationFactory.ToSchedulerConfig(flow, json);
        foreach (var (name, value) in json)
            Assert.True(JsonNode.DeepEquals(value, written[name]), name);
        json["time_shift_type"] = "linear";
        Assert.Equal(0.5, Assert.IsType<FlowFormulation>(FormulationFactory.FromSchedulerConfig(json)).ShiftFor(256), 12);
    }

    [Fact]
    public void Pure_noise_has_a_finite_level_for_solvers_that_need_one()
    {
        var ddpm = (DdpmFormulation)FormulationTests.Create("zero-snr v");
        Assert.Equal(0, ddpm.PointAt(999).A);
        var finite = ddpm.FinitePointAt(999);
        // ᾱ = 2⁻²⁴.
        Assert.Equal(Math.ScaleB(1, -12), finite.A, 12);
        Assert.Equal(1, (finite.A * finite.A) + (finite.B * finite.B), 12);
        Assert.Equal(ddpm.PointAt(998), ddpm.FinitePointAt(998));
        var between = ddpm.PointAt(998.5);
        Assert.Equal((ddpm.Sigmas[998] + ddpm.Sigmas[999]) / 2, between.Sigma, 6);
        Assert.Equal(finite, ddpm.PointOfSigma(ddpm.Sigmas[999]));
    }

    [Theory]
    [InlineData("""{ "_class_name": "KarrasVeScheduler" }""", "KarrasVeScheduler")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "beta_schedule": "sigmoid" }""", "sigmoid")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "prediction_type": "score" }""", "score")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "beta_start": 2.0 }""", "β")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "beta_start": "low" }""", "low")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true }""", "v_prediction")]
    [InlineData("""{ "_class_name": "DDIMScheduler", "trained_betas": [0.1, "x"] }""", "trained_betas")]
    [InlineData(
        """{ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true, "time_shift_type": "cosine" }""",
        "time_shift_type"
    )]
    [InlineData("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true, "max_image_seq_len": 256 }""", "256")]
    [InlineData("""{ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 0 }""", "shift")]
    [InlineData("{ }", "_class_name")]
    public void What_makes_no_formulation_is_named_with_its_file(string json, string named)
    {
        var error = Assert.Throws<InputException>(() => FormulationFactory.FromSchedulerConfig(Parse(json), "model/scheduler_config.json"));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
        Assert.Contains("model/scheduler_config.json", error.Message, StringComparison.Ordinal);
    }

    private static JsonObject Parse(string json) => JsonNode.Parse(json)!.AsObject();
}
