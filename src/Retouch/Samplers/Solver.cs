using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>What the noise levels of a method are chosen by.</summary>
public enum SolverLevels
{
    /// <summary>Whole steps of the schedule.</summary>
    Timesteps,

    /// <summary>σ = b/a.</summary>
    Sigma,

    /// <summary>λ = ln(a/b).</summary>
    Lambda,
}

/// <summary>
/// A method of sampling with its options: one record and one file a method, in <c>Solvers</c>, with its update rule and its citation. It is
/// found by its type (<see cref="SolverCatalog"/>) and named nowhere else.
/// </summary>
public abstract record Solver
{
    /// <summary>The name on a command line and in files: lower case, without blanks.</summary>
    public abstract string Name { get; }

    /// <summary>The name in prose.</summary>
    public abstract string Title { get; }

    /// <summary>What its noise levels are chosen by.</summary>
    public abstract SolverLevels Levels { get; }

    /// <summary>
    /// Order of convergence of a whole trajectory, its first steps of lower order included, on levels even in ln σ; null where noise is
    /// drawn or where the rule is made for other levels.
    /// </summary>
    public abstract int? Order { get; }

    /// <summary>Scheduler classes of diffusers that are this method.</summary>
    public virtual IReadOnlyList<string> Schedulers => [];

    /// <summary>Scheduler classes of diffusers that solve the same equation in another way, and are sampled with this method.</summary>
    public virtual IReadOnlyList<string> Relatives => [];

    /// <summary>A method in whole steps: ends without any noise instead of at the schedule's first step.</summary>
    public virtual bool EndsWithoutNoise => false;

    /// <summary>A method in σ or λ: ends at the schedule's least noise instead of at none.</summary>
    public virtual bool EndsAtLeastNoise => false;

    /// <summary>A method in λ, on levels that are not the schedule's: where it ends with noise, it ends at the last of them.</summary>
    public virtual bool EndsAtLastLevel => false;

    /// <summary>The only spacing that the rule is defined on, whatever a configuration says; null where any will do.</summary>
    public virtual TimestepSpacing? OnlySpacing => null;

    /// <summary>
    /// What is wrong with the method for a formulation, each with the member of <see cref="SamplerOptions"/> it is about.
    /// </summary>
    /// <param name="options">The options that the method stands in.</param>
    /// <param name="formulation">What is sampled from.</param>
    public virtual IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation) => [];

    /// <summary>The method as a scheduler configuration asks for it.</summary>
    /// <param name="scheduler">The configuration.</param>
    /// <param name="own">Whether it is of one of <see cref="Schedulers"/> or <see cref="Relatives"/>, so that it speaks of this method's
    /// order.</param>
    public virtual Solver Read(SchedulerMembers scheduler, bool own) => this;

    /// <summary>Refuses a configuration of one of <see cref="Schedulers"/> that asks for what this method does not do.</summary>
    /// <param name="scheduler">The configuration.</param>
    /// <exception cref="Core.Errors.InputException">A member asks for more; it is named.</exception>
    public virtual void Check(SchedulerMembers scheduler) { }

    /// <summary>What the method makes of each output of the network before it steps.</summary>
    /// <param name="denoised">The output, read.</param>
    /// <param name="noisy">z_t.</param>
    /// <param name="at">The level of z_t.</param>
    public virtual Denoised Limit(Denoised denoised, Tensor noisy, NoisePoint at) => denoised;

    /// <summary>Begins a trajectory.</summary>
    /// <param name="formulation">What is sampled from.</param>
    public abstract ISolverRun Start(Formulation formulation);

    /// <summary>ẑ0 clamped to plus and minus a range; as in diffusers, ε̂ stays as it was.</summary>
    protected static Denoised Clamp(Denoised denoised, double range)
    {
        ArgumentNullException.ThrowIfNull(denoised);
        return denoised with { Z0 = new(denoised.Z0.Value.Clamp(-range, range)) };
    }

    /// <summary>The problem of a clipping range that is not above 0, if it is one.</summary>
    protected static IEnumerable<(string Member, string Problem)> ClipProblems(double? range)
    {
        if (range is { } r && !(r > 0 && double.IsFinite(r)))
            yield return ("clipRange", "must be above 0");
    }

    /// <summary>The range that a scheduler configuration clips to; null where it does not.</summary>
    // Only where it is written down: diffusers' default for it is wrong for latents.
    protected static double? ClipOf(SchedulerMembers scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return scheduler.Members.Boolean("clip_sample", false) ? scheduler.Members.Number("clip_sample_range", 1) : null;
    }
}
