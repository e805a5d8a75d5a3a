using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Diffusion;
using Retouch.Samplers.Solvers;

namespace Retouch.Samplers;

/// <summary>Sampler of a model's scheduler configuration.</summary>
/// <param name="Options">Sampler options.</param>
/// <param name="Note">User-facing note on a deviation from the configuration, or null.</param>
public sealed record SchedulerSampling(SamplerOptions Options, string? Note = null);

/// <summary>
/// Reads sampler options from a diffusers <c>scheduler_config.json</c>. Unsupported values are errors; unknown members are ignored.
/// </summary>
public static class SchedulerConfig
{
    /// <summary>Reads the sampler.</summary>
    /// <param name="json">scheduler_config.json.</param>
    /// <param name="origin">File name for messages.</param>
    /// <param name="solver">Overrides the configuration's solver; its steps and noise levels are kept if the solver supports them. Null for
    /// no override.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static SchedulerSampling Read(JsonObject json, string origin = "scheduler_config.json", Solver? solver = null)
    {
        var members = new JsonMembers(json, origin);
        var name = members.Text("_class_name");
        var own = SolverCatalog.All.FirstOrDefault(s => s.Schedulers.Contains(name) || s.Relatives.Contains(name));
        if (own is null)
        {
            if (!SchedulerClasses.All.TryGetValue(name, out var known))
                throw members.Wrong("_class_name", $"one of {string.Join(", ", SchedulerClasses.All.Keys)}");
            own = solver is null
                ? throw new InputException(
                    $"'{origin}': the model's default sampler {name} is not supported; choose another, such as "
                        + $"--sampler {Usual(known).Name}."
                )
                : Usual(known);
        }

        var isFlow =
            name.StartsWith("FlowMatch", StringComparison.Ordinal) || members.Text("prediction_type", "epsilon") == "flow_prediction";
        var scheduler = new SchedulerMembers(members, isFlow);
        // From a related class only the members about timesteps apply.
        var isRelative = own.Relatives.Contains(name);
        if (solver is null)
        {
            Refuse(scheduler);
            if (!isRelative)
                own.Check(scheduler);
        }

        var method = solver ?? own;
        var read = method.Read(scheduler, own: method.GetType() == own.GetType());
        return new(
            isFlow ? new() { Solver = read } : OfSchedule(members, read),
            solver is null && isRelative ? $"{name} is sampled with {own.Title}, which solves the same equation." : null
        );
    }

    /// <summary>Like <see cref="Read"/>, with a fallback for unsupported samplers, for sample grids during training.</summary>
    /// <param name="json">scheduler_config.json.</param>
    public static SchedulerSampling ReadOrUsual(JsonObject json)
    {
        ArgumentNullException.ThrowIfNull(json);
        var name = (string?)json["_class_name"];
        var isKnown = SolverCatalog.All.Any(s => s.Schedulers.Contains(name) || s.Relatives.Contains(name));
        if (name is null || isKnown || !SchedulerClasses.All.TryGetValue(name, out var known))
            return Read(json);
        return Read(json, solver: Usual(known)) with
        {
            Note = $"The model's default sampler {name} is not supported; sample grids use {Usual(known).Title}.",
        };
    }

    private static Solver Usual(SchedulerDefaults known) => known.IsFlow ? new Euler() : new Ddim();

    private static SamplerOptions OfSchedule(JsonMembers members, Solver solver)
    {
        var isWhole = solver.Levels == SolverLevels.Timesteps;
        var spacing =
            solver.OnlySpacing
            ?? members.OneOf("timestep_spacing", isWhole ? "leading" : "linspace", "leading", "trailing", "linspace") switch
            {
                "leading" => TimestepSpacing.Leading,
                "trailing" => TimestepSpacing.Trailing,
                _ => TimestepSpacing.Linspace,
            };
        return new()
        {
            Solver = solver,
            Spacing = spacing,
            StepsOffset = spacing == TimestepSpacing.Leading ? members.Integer("steps_offset", 0, atLeast: 0) : 0,
            Sigmas = isWhole ? SigmaSpacing.Schedule : Sigmas(members),
        };
    }

    private static SigmaSpacing Sigmas(JsonMembers members)
    {
        (string Member, SigmaSpacing Spacing)[] all =
        [
            ("use_karras_sigmas", SigmaSpacing.Karras),
            ("use_exponential_sigmas", SigmaSpacing.Exponential),
            ("use_beta_sigmas", SigmaSpacing.Beta),
        ];
        var chosen = all.Where(s => members.Boolean(s.Member, false)).ToArray();
        return chosen.Length switch
        {
            0 => SigmaSpacing.Schedule,
            1 => chosen[0].Spacing,
            _ => throw members.Wrong(chosen[1].Member, $"false, since {chosen[0].Member} is true"),
        };
    }

    /// <summary>Rejects members that would change the result and are not supported by any solver.</summary>
    private static void Refuse(SchedulerMembers scheduler)
    {
        var members = scheduler.Members;
        members.Only("thresholding", false, "dynamic thresholding is for pixels and is not supported");
        members.Only("invert_sigmas", false, "a flow from image to noise is not supported");
        foreach (var member in (string[])["stochastic_sampling", "use_lu_lambdas"])
            members.Only(member, false, "it is not supported");
        foreach (var member in (string[])["shift_terminal", "sigma_min", "sigma_max", "solver_p"])
            members.Only(member, null, "it is not supported");
        members.OneOf("final_sigmas_type", "zero", "zero", "sigma_min");
        if (!scheduler.IsFlow)
            return;
        foreach (var member in (string[])["use_karras_sigmas", "use_beta_sigmas", "use_exponential_sigmas"])
            members.Only(member, false, "a flow is sampled on its shifted times");
        members.Only("final_sigmas_type", "zero", "a flow ends without noise");
    }
}
