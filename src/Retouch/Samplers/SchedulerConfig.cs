using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Samplers;

/// <summary>How a model's own configuration samples it.</summary>
/// <param name="Options">The method.</param>
/// <param name="Note">What is different from the configuration, for the user to know; null where nothing is.</param>
public sealed record SchedulerSampling(SamplerOptions Options, string? Note = null);

/// <summary>
/// Reads from a diffusers <c>scheduler_config.json</c> how pictures are drawn. What it asks for is done or refused by name; members it does
/// not know are passed over.
/// </summary>
public static class SchedulerConfig
{
    /// <summary>Reads how a model is sampled.</summary>
    /// <param name="json">scheduler_config.json.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <param name="solver">Another method than the configuration's; what it says of steps and levels is taken over where that method knows
    /// it.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what is not supported.</exception>
    public static SchedulerSampling Read(JsonObject json, string origin = "scheduler_config.json", Solver? solver = null)
    {
        var members = new JsonMembers(json, origin);
        var name = members.Text("_class_name");
        var own =
            SolverCatalog.All.FirstOrDefault(s => s.Schedulers.Contains(name) || s.Relatives.Contains(name))
            ?? throw members.Wrong(
                "_class_name",
                $"one of {string.Join(", ", SolverCatalog.All.SelectMany(static s => s.Schedulers.Concat(s.Relatives)))}"
            );
        var isFlow =
            name.StartsWith("FlowMatch", StringComparison.Ordinal) || members.Text("prediction_type", "epsilon") == "flow_prediction";
        var scheduler = new SchedulerMembers(members, isFlow);
        // Of a relative's members only those about the steps are looked at.
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

    private static SamplerOptions OfSchedule(JsonMembers members, Solver solver)
    {
        var isWhole = solver.Levels == SolverLevels.Timesteps;
        var spacing =
            solver.OnlySpacing
            ?? members.Text("timestep_spacing", isWhole ? "leading" : "linspace") switch
            {
                "leading" => TimestepSpacing.Leading,
                "trailing" => TimestepSpacing.Trailing,
                "linspace" => TimestepSpacing.Linspace,
                _ => throw members.Wrong("timestep_spacing", "one of leading, trailing, linspace"),
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

    /// <summary>Refuses what would be sampled in another way than it says, whatever the method.</summary>
    private static void Refuse(SchedulerMembers scheduler)
    {
        var members = scheduler.Members;
        scheduler.Only("thresholding", false, "dynamic thresholding is for pixels and is not supported");
        scheduler.Only("invert_sigmas", false, "a flow from image to noise is not supported");
        scheduler.Only("stochastic_sampling", false, "it is not supported");
        scheduler.Only("use_lu_lambdas", false, "it is not supported");
        scheduler.OneOf("final_sigmas_type", "zero", "zero", "sigma_min");
        foreach (var member in (string[])["shift_terminal", "sigma_min", "sigma_max", "solver_p"])
        {
            if (members.Has(member))
                throw members.Wrong(member, "null: it is not supported");
        }

        if (!scheduler.IsFlow)
            return;
        if (Sigmas(members) != SigmaSpacing.Schedule)
            throw members.Wrong(
                members.Boolean("use_karras_sigmas", false) ? "use_karras_sigmas"
                    : members.Boolean("use_beta_sigmas", false) ? "use_beta_sigmas"
                    : "use_exponential_sigmas",
                "false: a flow is sampled on its shifted times"
            );
        if (members.Text("final_sigmas_type", "zero") != "zero")
            throw members.Wrong("final_sigmas_type", "zero for a flow");
    }
}
