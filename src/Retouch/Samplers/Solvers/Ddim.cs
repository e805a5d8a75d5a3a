using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>DDIM (Song, Meng and Ermon, "Denoising Diffusion Implicit Models", ICLR 2021).</summary>
public record Ddim : Solver
{
    // Classes whose set_alpha_to_one defaults to true in diffusers 0.40.
    private static readonly string[] EndsCleanByDefault = ["DDIMScheduler", "DDIMParallelScheduler", "LCMScheduler", "TCDScheduler"];

    /// <summary>η: fraction of the posterior's standard deviation added as noise, in [0, 1].</summary>
    public double Eta { get; init; }

    /// <summary>End at zero noise instead of at the schedule's first timestep.</summary>
    public bool SetAlphaToOne { get; init; }

    /// <summary>Clamp ẑ0 to ± this value, or null. For pixel-space networks; latents are unbounded.</summary>
    public double? ClipRange { get; init; }

    /// <inheritdoc/>
    public override string Name => "ddim";

    /// <inheritdoc/>
    public override string Title => "DDIM";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Timesteps;

    /// <inheritdoc/>
    public override int? Order => Eta == 0 ? 1 : null;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["DDIMScheduler", "DDIMParallelScheduler"];

    /// <inheritdoc/>
    public override bool EndsWithoutNoise => SetAlphaToOne;

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation)
    {
        if (!(Eta is >= 0 and <= 1))
            yield return ("eta", "must lie between 0 and 1");
        if (SetAlphaToOne && formulation is FlowFormulation)
            yield return ("setAlphaToOne", "has no effect except on a DDPM schedule");
        foreach (var problem in ClipProblems(ClipRange))
            yield return problem;
    }

    /// <inheritdoc/>
    public override Solver Read(SchedulerMembers scheduler, bool own)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return scheduler.IsFlow
            ? this
            : this with
            {
                SetAlphaToOne = scheduler.Members.Boolean("set_alpha_to_one", EndsCleanByDefault.Contains(scheduler.ClassName)),
                ClipRange = ClipOf(scheduler),
            };
    }

    /// <inheritdoc/>
    public override Denoised Limit(Denoised denoised, Tensor noisy, NoisePoint at) =>
        ClipRange is { } range ? Clamp(denoised, range) : denoised;

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) =>
        new SingleStepRun(step => Rule(step.Transition, step.Denoised, Eta, Eta > 0 ? step.DrawNoise() : null));

    /// <summary>
    /// a_s·ẑ0 + √(b_s² − d²)·ε̂ + d·noise with d = η·√(posterior variance): DDIM (Song et al. 2021, eq. 12 and 16). Without noise it equals
    /// Euler's step of the probability-flow ODE, in σ for DDPM networks (Karras et al. 2022, algorithm 1) and in t for flows: ẑ0 + s·v̂ =
    /// z_t + (s − t)·v̂.
    /// </summary>
    /// <param name="transition">From t to s.</param>
    /// <param name="denoised">ẑ0 and ε̂ at z_t.</param>
    /// <param name="eta">η, from 0 (deterministic) to 1 (ancestral).</param>
    /// <param name="noise">Standard normal noise, required for η above 0.</param>
    public static Tensor Rule(Transition transition, Denoised denoised, double eta = 0, Tensor? noise = null)
    {
        ArgumentNullException.ThrowIfNull(denoised);
        var to = transition.To;
        var deviation = eta * Math.Sqrt(transition.PosteriorVariance);
        using var scope = TensorScope.Enter();
        if (deviation == 0)
            return scope.Keep(to.Mix(denoised.Z0, denoised.Noise));
        ArgumentNullException.ThrowIfNull(noise);
        var kept = to with { B = Math.Sqrt(Math.Max((to.B * to.B) - (deviation * deviation), 0)) };
        return scope.Keep(kept.Mix(denoised.Z0, denoised.Noise) + (noise * deviation));
    }
}
