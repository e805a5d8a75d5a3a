using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// Ancestral sampling: a sample from the posterior in each step (Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", NeurIPS
/// 2020, algorithm 2).
/// </summary>
public sealed record Ddpm : Solver
{
    /// <summary>Use the larger of the two variances of Ho et al. 2020, section 3.2.</summary>
    public bool LargeVariance { get; init; }

    /// <summary>Clamp ẑ0 to ± this value, or null. For pixel-space networks; latents are unbounded.</summary>
    public double? ClipRange { get; init; }

    /// <inheritdoc/>
    public override string Name => "ddpm";

    /// <inheritdoc/>
    public override string Title => "DDPM";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Timesteps;

    /// <inheritdoc/>
    public override int? Order => null;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["DDPMScheduler", "DDPMParallelScheduler"];

    /// <inheritdoc/>
    public override bool EndsWithoutNoise => true;

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation) =>
        ClipProblems(ClipRange);

    /// <inheritdoc/>
    public override Solver Read(SchedulerMembers scheduler, bool own)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return scheduler.IsFlow
            ? this
            : this with
            {
                LargeVariance = scheduler.Members.Text("variance_type", "fixed_small") == "fixed_large",
                ClipRange = ClipOf(scheduler),
            };
    }

    /// <inheritdoc/>
    public override void Check(SchedulerMembers scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        scheduler.Members.OneOf("variance_type", "fixed_small", "fixed_small", "fixed_small_log", "fixed_large");
    }

    /// <inheritdoc/>
    public override Denoised Limit(Denoised denoised, Tensor noisy, NoisePoint at) =>
        ClipRange is { } range ? Clamp(denoised, range) : denoised;

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) =>
        new SingleStepRun(step =>
            Rule(step.Transition, step.Noisy, step.Denoised.Z0, step.Transition.From.Timestep > 0 ? step.DrawNoise() : null, LargeVariance)
        );

    /// <summary>Sample from the posterior of z_s given z_t and ẑ0 (Ho et al. 2020, eq. 7).</summary>
    /// <param name="transition">From t to s.</param>
    /// <param name="noisy">z_t.</param>
    /// <param name="z0">ẑ0.</param>
    /// <param name="noise">Standard normal noise; null for the mean.</param>
    /// <param name="largeVariance">Use the forward variance instead of the posterior's (their σ_t² = β_t).</param>
    public static Tensor Rule(Transition transition, Tensor noisy, Latent z0, Tensor? noise, bool largeVariance = false)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(z0);
        var (from, to) = (transition.From, transition.To);
        var square = from.B * from.B;
        var (ofClean, ofNoisy) = (to.A * transition.ForwardVariance / square, from.A / to.A * (to.B * to.B) / square);
        var deviation = Math.Sqrt(largeVariance ? transition.ForwardVariance : transition.PosteriorVariance);
        using var scope = TensorScope.Enter();
        var mean = (z0.Value * ofClean) + (noisy * ofNoisy);
        return scope.Keep(noise is null || deviation == 0 ? mean : mean + (noise * deviation));
    }
}
