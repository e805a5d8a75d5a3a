using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Diffusion;

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
    /// <summary>Classes by the method they are, and what is said where it is only a relative.</summary>
    private static readonly Dictionary<string, (SamplerKind Kind, string? Note)> Classes = new(StringComparer.Ordinal)
    {
        ["DDIMScheduler"] = (SamplerKind.Ddim, null),
        ["DDPMScheduler"] = (SamplerKind.Ddpm, null),
        ["PNDMScheduler"] = (SamplerKind.Pndm, null),
        ["EulerDiscreteScheduler"] = (SamplerKind.Euler, null),
        ["EulerAncestralDiscreteScheduler"] = (SamplerKind.EulerAncestral, null),
        ["HeunDiscreteScheduler"] = (SamplerKind.Heun, null),
        ["LMSDiscreteScheduler"] = (SamplerKind.Lms, null),
        ["DPMSolverMultistepScheduler"] = (SamplerKind.DpmSolverPlusPlus, null),
        ["UniPCMultistepScheduler"] = (SamplerKind.UniPc, null),
        ["FlowMatchEulerDiscreteScheduler"] = (SamplerKind.Euler, null),
        ["FlowMatchHeunDiscreteScheduler"] = (SamplerKind.Heun, null),
        ["DDIMParallelScheduler"] = (SamplerKind.Ddim, null),
        ["DDPMParallelScheduler"] = (SamplerKind.Ddpm, null),
        ["DPMSolverSinglestepScheduler"] = (SamplerKind.DpmSolverPlusPlus, "DPM-Solver++(2M)"),
        ["DEISMultistepScheduler"] = (SamplerKind.DpmSolverPlusPlus, "DPM-Solver++(2M)"),
    };

    /// <summary>Reads how a model is sampled.</summary>
    /// <param name="json">scheduler_config.json.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <param name="kind">Another method than the configuration's; what it says of steps and levels is taken over where that method knows
    /// it.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what is not supported.</exception>
    public static SchedulerSampling Read(JsonObject json, string origin = "scheduler_config.json", SamplerKind? kind = null)
    {
        var members = new JsonMembers(json, origin);
        var name = members.Text("_class_name");
        if (!Classes.TryGetValue(name, out var own))
        {
            if (!SchedulerClasses.All.TryGetValue(name, out var known))
                throw members.Wrong("_class_name", $"one of {string.Join(", ", SchedulerClasses.All.Keys)}");
            if (kind is null)
                throw new InputException(
                    $"'{origin}': {name} is the model's own sampler and is not known here; name another, "
                        + $"as --sampler {UsualName(known)}."
                );
            own = (Usual(known), null);
        }

        var method = kind ?? own.Kind;
        var isFlow =
            name.StartsWith("FlowMatch", StringComparison.Ordinal) || members.Text("prediction_type", "epsilon") == "flow_prediction";
        if (kind is null)
            Refuse(members, own.Note is null ? own.Kind : null, isFlow);
        var options = isFlow ? OfFlow(members, method) : OfSchedule(members, method, name);
        // An order is one solver's own; another takes its usual one.
        if (method != own.Kind)
            options = options with { SolverOrder = 2, LowerOrderFinal = true };
        return new(
            options,
            kind is null && own.Note is { } relative ? $"{name} is sampled with {relative}, which solves the same equation." : null
        );
    }

    /// <summary>
    /// As <see cref="Read"/>, or with the usual method where the model's own is not known here: for looking at a model in training.
    /// </summary>
    /// <param name="json">scheduler_config.json.</param>
    public static SchedulerSampling ReadOrUsual(JsonObject json)
    {
        ArgumentNullException.ThrowIfNull(json);
        var name = (string?)json["_class_name"];
        if (name is null || Classes.ContainsKey(name) || !SchedulerClasses.All.TryGetValue(name, out var known))
            return Read(json);
        return Read(json, kind: Usual(known)) with
        {
            Note = $"The model's own sampler, {name}, is not known here; sample grids " + $"are drawn with {UsualName(known)}.",
        };
    }

    private static SamplerKind Usual(SchedulerDefaults known) => known.IsFlow ? SamplerKind.Euler : SamplerKind.Ddim;

    private static string UsualName(SchedulerDefaults known) => known.IsFlow ? "euler" : "ddim";

    private static SamplerOptions OfFlow(JsonMembers members, SamplerKind kind) =>
        SamplerOptions.StepsInLambda(kind)
            ? new()
            {
                Kind = kind,
                SolverOrder = members.Integer("solver_order", 2),
                UniPcVariant = Variant(members, kind),
                LowerOrderFinal = members.Boolean("lower_order_final", true),
            }
            : new() { Kind = kind };

    private static SamplerOptions OfSchedule(JsonMembers members, SamplerKind kind, string name)
    {
        var (inSigma, inLambda) = (SamplerOptions.StepsInSigma(kind), SamplerOptions.StepsInLambda(kind));
        var spacing =
            kind == SamplerKind.Pndm
                ? TimestepSpacing.Leading
                : members.Text("timestep_spacing", inSigma ? "linspace" : "leading") switch
                {
                    "leading" => TimestepSpacing.Leading,
                    "trailing" => TimestepSpacing.Trailing,
                    "linspace" => TimestepSpacing.Linspace,
                    _ => throw members.Wrong("timestep_spacing", "one of leading, trailing, linspace"),
                };
        // Only where it is written down: diffusers' default for it is wrong for latents.
        var clips = kind is SamplerKind.Ddim or SamplerKind.Ddpm or SamplerKind.Heun && members.Boolean("clip_sample", false);
        return new()
        {
            Kind = kind,
            Spacing = spacing,
            StepsOffset = spacing == TimestepSpacing.Leading ? members.Integer("steps_offset", 0, atLeast: 0) : 0,
            SetAlphaToOne =
                kind is SamplerKind.Ddim or SamplerKind.Pndm
                && members.Boolean(
                    "set_alpha_to_one",
                    name is "DDIMScheduler" or "DDIMParallelScheduler" or "LCMScheduler" or "TCDScheduler"
                ),
            ClipRange = clips ? members.Number("clip_sample_range", 1) : null,
            LargeVariance = kind == SamplerKind.Ddpm && members.Text("variance_type", "fixed_small") == "fixed_large",
            Sigmas = inSigma ? Sigmas(members) : SigmaSpacing.Schedule,
            EndAtLeastNoise = (inLambda || kind == SamplerKind.Euler) && members.Text("final_sigmas_type", "zero") == "sigma_min",
            SolverOrder = inLambda ? members.Integer("solver_order", 2) : 2,
            LowerOrderFinal = !inLambda || members.Boolean("lower_order_final", true),
            UniPcVariant = Variant(members, kind),
        };
    }

    private static UniPcVariant Variant(JsonMembers members, SamplerKind kind) =>
        kind == SamplerKind.UniPc && members.Text("solver_type", "bh2") == "bh1" ? UniPcVariant.Bh1 : UniPcVariant.Bh2;

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

    /// <summary>
    /// Refuses what would be sampled in another way than it says. Of a relative's members only those about the steps are looked at.
    /// </summary>
    private static void Refuse(JsonMembers members, SamplerKind? kind, bool isFlow)
    {
        Only("thresholding", false, "dynamic thresholding is for pixels and is not supported");
        Only("invert_sigmas", false, "a flow from image to noise is not supported");
        Only("stochastic_sampling", false, "it is not supported");
        Only("use_lu_lambdas", false, "it is not supported");
        OneOf("final_sigmas_type", "zero", "zero", "sigma_min");
        foreach (var member in (string[])["shift_terminal", "sigma_min", "sigma_max", "solver_p"])
        {
            if (members.Has(member))
                throw members.Wrong(member, "null: it is not supported");
        }

        if (isFlow)
        {
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

        switch (kind)
        {
            case SamplerKind.Pndm:
                // diffusers' default is false, which nobody publishes for latents.
                if (!members.Boolean("skip_prk_steps", false))
                    throw members.Wrong("skip_prk_steps", "true: PNDM's Runge-Kutta steps are not supported; choose another sampler");
                OneOf("timestep_spacing", "leading", "leading");
                break;
            case SamplerKind.Ddpm:
                OneOf("variance_type", "fixed_small", "fixed_small", "fixed_small_log", "fixed_large");
                break;
            case SamplerKind.Euler when !isFlow:
                OneOf("interpolation_type", "linear", "linear");
                OneOf("timestep_type", "discrete", "discrete");
                break;
            case SamplerKind.DpmSolverPlusPlus:
                // diffusers itself replaces the names of other solvers' types.
                OneOf("algorithm_type", "dpmsolver++", "dpmsolver++", "deis");
                OneOf("solver_type", "midpoint", "midpoint", "logrho", "bh1", "bh2");
                if (members.Integer("solver_order", 2) > 2)
                    throw members.Wrong("solver_order", "1 or 2");
                Only("euler_at_final", false, "it is not supported");
                if (!double.IsNegativeInfinity(members.NumberOrInfinity("lambda_min_clipped", double.NegativeInfinity)))
                    throw members.Wrong("lambda_min_clipped", "-Infinity: clipping is not supported");
                OneOf("variance_type", "", "");
                break;
            case SamplerKind.UniPc:
                OneOf("solver_type", "bh2", "bh1", "bh2", "midpoint", "heun", "logrho");
                Only("predict_x0", true, "prediction of noise is not supported");
                if (members.Integer("solver_order", 2) > 3)
                    throw members.Wrong("solver_order", "1, 2 or 3");
                if (members.Items("disable_corrector") > 0)
                    throw members.Wrong("disable_corrector", "an empty list");
                break;
        }

        void Only(string member, bool value, string why)
        {
            if (members.Boolean(member, value) != value)
                throw members.Wrong(member, $"{(value ? "true" : "false")}: {why}");
        }

        void OneOf(string member, string fallback, params ReadOnlySpan<string> known)
        {
            if (!known.Contains(members.Text(member, fallback)))
                throw members.Wrong(member, fallback.Length == 0 ? "null" : $"one of {string.Join(", ", known.ToArray())}");
        }
    }
}
