using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Variable in which a solver's noise levels are chosen.</summary>
public enum SolverLevels
{
    /// <summary>Whole timesteps of the schedule.</summary>
    Timesteps,

    /// <summary>σ = b/a.</summary>
    Sigma,

    /// <summary>λ = ln(a/b).</summary>
    Lambda,
}

/// <summary>
/// A sampling method with its options: one record and one file per method, in <c>Solvers</c>, with update rule and citation.
/// <see cref="SolverCatalog"/> finds methods by type; no other list exists.
/// </summary>
public abstract record Solver
{
    /// <summary>Name on the command line and in files: lower case, without spaces.</summary>
    public abstract string Name { get; }

    /// <summary>Display name.</summary>
    public abstract string Title { get; }

    /// <summary>Variable in which the noise levels are chosen.</summary>
    public abstract SolverLevels Levels { get; }

    /// <summary>
    /// Order of convergence of a whole trajectory, including lower-order first steps, on levels uniform in ln σ; null for stochastic
    /// methods and for methods defined on other levels.
    /// </summary>
    public abstract int? Order { get; }

    /// <summary>Diffusers scheduler classes that implement this method.</summary>
    public virtual IReadOnlyList<string> Schedulers => [];

    /// <summary>Diffusers scheduler classes that solve the same equation with a different method; they are sampled with this one.</summary>
    public virtual IReadOnlyList<string> Relatives => [];

    /// <summary>For methods in whole timesteps: ends at zero noise instead of at the schedule's first timestep.</summary>
    public virtual bool EndsWithoutNoise => false;

    /// <summary>
    /// For methods in whole timesteps: each step ends a whole stride below its start, not at the start of the next step. If the number of
    /// steps does not divide the schedule, the two differ.
    /// </summary>
    public virtual bool KeepsStride => false;

    /// <summary>For methods in σ or λ: ends at the schedule's minimum noise level instead of zero.</summary>
    public virtual bool EndsAtLeastNoise => false;

    /// <summary>For methods in λ with levels other than the schedule's: if they end with noise, they end at the last level.</summary>
    public virtual bool EndsAtLastLevel => false;

    /// <summary>The only spacing that the rule is defined on, regardless of the configuration; null for any.</summary>
    public virtual TimestepSpacing? OnlySpacing => null;

    /// <summary>
    /// Validation problems of the method with a formulation, each with the affected member of <see cref="SamplerOptions"/>.
    /// </summary>
    /// <param name="options">Sampler options that contain the method.</param>
    /// <param name="formulation">Formulation of the model.</param>
    public virtual IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation) => [];

    /// <summary>The method with options from a scheduler configuration.</summary>
    /// <param name="scheduler">The configuration.</param>
    /// <param name="own">Whether the class is one of <see cref="Schedulers"/> or <see cref="Relatives"/>, so that its solver order
    /// applies.</param>
    public virtual Solver Read(SchedulerMembers scheduler, bool own) => this;

    /// <summary>Rejects unsupported values in a configuration of one of <see cref="Schedulers"/>.</summary>
    /// <param name="scheduler">The configuration.</param>
    /// <exception cref="Core.Errors.InputException">A member has an unsupported value; the message names it.</exception>
    public virtual void Check(SchedulerMembers scheduler) { }

    /// <summary>Transforms each network prediction before a step, such as clipping.</summary>
    /// <param name="denoised">Network prediction.</param>
    /// <param name="noisy">z_t.</param>
    /// <param name="at">Noise level of z_t.</param>
    public virtual Denoised Limit(Denoised denoised, Tensor noisy, NoisePoint at) => denoised;

    /// <summary>Starts a trajectory.</summary>
    /// <param name="formulation">Formulation of the model.</param>
    public abstract ISolverRun Start(Formulation formulation);

    /// <summary>ẑ0 clamped to [−range, range]; as in diffusers, ε̂ is unchanged.</summary>
    protected static Denoised Clamp(Denoised denoised, double range)
    {
        ArgumentNullException.ThrowIfNull(denoised);
        return denoised with { Z0 = new(denoised.Z0.Value.Clamp(-range, range)) };
    }

    /// <summary>Validates a clipping range.</summary>
    protected static IEnumerable<(string Member, string Problem)> ClipProblems(double? range)
    {
        if (range is { } r && !(r > 0 && double.IsFinite(r)))
            yield return ("clipRange", "must be above 0");
    }

    /// <summary>Clipping range of a scheduler configuration, or null.</summary>
    // Only an explicit value counts: diffusers' default is wrong for latents.
    protected static double? ClipOf(SchedulerMembers scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return scheduler.Members.Boolean("clip_sample", false) ? scheduler.Members.Number("clip_sample_range", 1) : null;
    }
}
