using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Diffusion;

/// <summary>Converts formulations from and to the <c>scheduler_config.json</c> of a diffusers folder.</summary>
public static class FormulationFactory
{
    private const string DefaultDdpmClass = "DDIMScheduler";
    private const string DefaultFlowClass = "FlowMatchEulerDiscreteScheduler";
    private const string ExponentialShift = "exponential";
    private const string LinearShift = "linear";

    private static readonly (string Name, PredictionType Type)[] PredictionNames =
    [
        ("epsilon", PredictionType.Epsilon),
        ("v_prediction", PredictionType.VPrediction),
        ("sample", PredictionType.Sample),
    ];

    private static readonly (string Name, BetaSchedule Shape)[] ShapeNames =
    [
        ("linear", BetaSchedule.Linear),
        ("scaled_linear", BetaSchedule.ScaledLinear),
        ("squaredcos_cap_v2", BetaSchedule.SquaredCosCapV2),
    ];

    /// <summary>Reads a model's formulation.</summary>
    /// <param name="json">Scheduler configuration; missing members take diffusers' defaults, sampling-only members are ignored.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <param name="density">Training density, which diffusers' configurations do not contain; null for uniform.</param>
    /// <exception cref="InputException">The class is unknown, or a member is missing, malformed or out of range.</exception>
    public static Formulation FromSchedulerConfig(JsonObject json, string origin = "scheduler_config.json", TimestepDensity? density = null)
    {
        ArgumentNullException.ThrowIfNull(json);
        var members = new JsonMembers(json, origin);
        var name = members.Text("_class_name");
        try
        {
            if (!SchedulerClasses.All.TryGetValue(name, out var defaults))
                throw members.Wrong("_class_name", $"one of {string.Join(", ", SchedulerClasses.All.Keys)}");
            if (defaults.IsFlow)
                return Flow(members, "shift", density);
            return members.Text("prediction_type", "epsilon") == "flow_prediction"
                ? Flow(members, "flow_shift", density)
                : Ddpm(members, defaults, density);
        }
        catch (UsageException e)
        {
            throw new InputException($"'{origin}': {e.Message}", e);
        }
    }

    /// <summary>Writes the configuration from which diffusers trains or samples with this formulation.</summary>
    /// <param name="formulation">Formulation to write.</param>
    /// <param name="original">The model's original configuration; its unrelated members are kept, and its class if it fits the
    /// formulation. Null for a new configuration.</param>
    public static JsonObject ToSchedulerConfig(Formulation formulation, JsonObject? original = null)
    {
        ArgumentNullException.ThrowIfNull(formulation);
        var isFlow = formulation is FlowFormulation;
        var named = (string?)original?["_class_name"];
        var solvesFlow = (string?)original?["prediction_type"] == "flow_prediction";
        // The members of the other family have no meaning here, so a new configuration is written.
        var known = named is null ? null : SchedulerClasses.All.GetValueOrDefault(named);
        var fits = isFlow ? solvesFlow || known is { IsFlow: true } : known is { IsFlow: false } && !solvesFlow;
        var json = fits ? original!.DeepClone().AsObject() : Fresh(isFlow);
        json["num_train_timesteps"] = formulation.TrainSteps;
        switch (formulation)
        {
            case FlowFormulation flow:
                WriteFlow(json, flow, solvesFlow ? "flow_shift" : "shift");
                break;
            case DdpmFormulation ddpm:
                WriteDdpm(json, ddpm);
                break;
            default:
                throw new ArgumentException($"{formulation.GetType().Name} has no diffusers scheduler.", nameof(formulation));
        }

        return json;
    }

    private static JsonObject Fresh(bool isFlow) =>
        isFlow
            ? new() { ["_class_name"] = DefaultFlowClass }
            // diffusers clips ẑ0 to [−1, 1] by default; latents exceed that range.
            : new()
            {
                ["_class_name"] = DefaultDdpmClass,
                ["clip_sample"] = false,
                ["set_alpha_to_one"] = false,
                ["timestep_spacing"] = "trailing",
            };

    private static FlowFormulation Flow(JsonMembers members, string shift, TimestepDensity? density)
    {
        var steps = members.Integer("num_train_timesteps", 1000);
        if (!members.Boolean("use_dynamic_shifting", false))
            return new(density, members.Number(shift, 1), steps);
        var dynamic = new DynamicShift
        {
            BaseTokens = members.Integer("base_image_seq_len", 256),
            MaxTokens = members.Integer("max_image_seq_len", 4096),
            BaseShift = members.Number("base_shift", 0.5),
            MaxShift = members.Number("max_shift", 1.15),
            Exponential = Named([(ExponentialShift, true), (LinearShift, false)], "time_shift_type", ExponentialShift, members),
        };
        dynamic.Validate();
        return new(density, 1, steps) { Dynamic = dynamic };
    }

    private static void WriteFlow(JsonObject json, FlowFormulation flow, string shift)
    {
        if (flow.Dynamic is not null || json["use_dynamic_shifting"] is not null)
            json["use_dynamic_shifting"] = flow.Dynamic is not null;
        if (flow.Dynamic is not { } dynamic)
        {
            json[shift] = flow.Shift;
            return;
        }

        // The constant shift is ignored by diffusers in this case and is kept.
        (json["base_image_seq_len"], json["max_image_seq_len"]) = (dynamic.BaseTokens, dynamic.MaxTokens);
        (json["base_shift"], json["max_shift"], json["time_shift_type"]) = (
            dynamic.BaseShift,
            dynamic.MaxShift,
            dynamic.Exponential ? ExponentialShift : LinearShift
        );
    }

    private static DdpmFormulation Ddpm(JsonMembers members, SchedulerDefaults defaults, TimestepDensity? density)
    {
        var prediction = Named(PredictionNames, "prediction_type", "epsilon", members);
        var zeroTerminal = members.Boolean("rescale_betas_zero_snr", false);
        if (members.List<float>("trained_betas", "a list of numbers") is { } betas)
            return new(NoiseSchedule.FromBetas([.. betas], zeroTerminal), prediction, density);
        var shape = Named(ShapeNames, "beta_schedule", defaults.Shape, members);
        var schedule = NoiseSchedule.Create(
            shape,
            members.Number("beta_start", defaults.BetaStart),
            members.Number("beta_end", defaults.BetaEnd),
            members.Integer("num_train_timesteps", 1000),
            zeroTerminal
        );
        return new(schedule, prediction, density);
    }

    private static void WriteDdpm(JsonObject json, DdpmFormulation ddpm)
    {
        var schedule = ddpm.Schedule;
        json["prediction_type"] = PredictionNames.First(p => p.Type == ddpm.Prediction).Name;
        json["rescale_betas_zero_snr"] = schedule.ZeroTerminalSnr;
        json["trained_betas"] = null;
        if (schedule.Shape is { } shape)
        {
            json["beta_schedule"] = ShapeNames.First(p => p.Shape == shape).Name;
            json["beta_start"] = schedule.BetaStart;
            json["beta_end"] = schedule.BetaEnd;
        }
        else
        {
            // The betas are already rescaled.
            json["rescale_betas_zero_snr"] = false;
            json["trained_betas"] = new JsonArray([.. schedule.Betas.ToArray().Select(static b => JsonValue.Create(b))]);
        }
    }

    private static T Named<T>((string Name, T Value)[] names, string member, string fallback, JsonMembers members)
    {
        var text = members.OneOf(member, fallback, [.. names.Select(static n => n.Name)]);
        return Array.Find(names, n => n.Name == text).Value;
    }
}
