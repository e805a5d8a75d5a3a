using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>
/// One step of a sampler, from a noise level to a smaller one. The rules are written in a_t and b_t alone, so that each serves every
/// formulation; for variance-preserving schedules they are the published ones, for rectified flow they are the same rules on its own path.
/// </summary>
/// <param name="From">Where z is.</param>
/// <param name="To">Where it goes.</param>
public readonly record struct Transition(NoisePoint From, NoisePoint To)
{
    /// <summary>Variance of z_t given z_s, s the smaller level: b_t² − (a_t/a_s)²·b_s² (β_t of one step of DDPM).</summary>
    public double ForwardVariance
    {
        get
        {
            var ratio = From.A / To.A;
            return Math.Max((From.B * From.B) - (ratio * ratio * To.B * To.B), 0);
        }
    }

    /// <summary>Variance of z_s given z_t and z0: the forward variance times b_s²/b_t² (Ho et al. 2020, eq. 7).</summary>
    public double PosteriorVariance => ForwardVariance * (To.B * To.B) / (From.B * From.B);

    /// <summary>
    /// a_s·ẑ0 + √(b_s² − d²)·ε̂ + d·noise with d = η·√(posterior variance): DDIM (Song et al. 2021, eq. 12 and 16). Without noise it is
    /// also Euler's step of the probability-flow equation, in σ for DDPM networks (Karras et al. 2022, algorithm 1) and in t for flows: ẑ0
    /// + s·v̂ = z_t + (s − t)·v̂.
    /// </summary>
    /// <param name="estimate">ẑ0 and ε̂ at z_t.</param>
    /// <param name="eta">η, from 0 (deterministic) to 1 (ancestral).</param>
    /// <param name="noise">Normal, needed where η is above 0.</param>
    public Tensor Ddim(Estimate estimate, double eta = 0, Tensor? noise = null)
    {
        ArgumentNullException.ThrowIfNull(estimate);
        var deviation = eta * Math.Sqrt(PosteriorVariance);
        using var scope = TensorScope.Enter();
        if (deviation == 0)
            return scope.Keep(To.Mix(estimate.Z0, estimate.Noise));
        ArgumentNullException.ThrowIfNull(noise);
        var kept = To with { B = Math.Sqrt(Math.Max((To.B * To.B) - (deviation * deviation), 0)) };
        return scope.Keep(kept.Mix(estimate.Z0, estimate.Noise) + (noise * deviation));
    }

    /// <summary>
    /// A draw from the posterior of z_s given z_t and ẑ0 (Ho et al. 2020, eq. 7 and algorithm 2).
    /// </summary>
    /// <param name="noisy">z_t.</param>
    /// <param name="z0">ẑ0.</param>
    /// <param name="noise">Normal; null for the mean.</param>
    /// <param name="largeVariance">With the forward variance instead of the posterior's (their σ_t² = β_t).</param>
    public Tensor Ancestral(Tensor noisy, Latent z0, Tensor? noise, bool largeVariance = false)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(z0);
        var square = From.B * From.B;
        var (ofClean, ofNoisy) = (To.A * ForwardVariance / square, From.A / To.A * (To.B * To.B) / square);
        var deviation = Math.Sqrt(largeVariance ? ForwardVariance : PosteriorVariance);
        using var scope = TensorScope.Enter();
        var mean = (z0.Value * ofClean) + (noisy * ofNoisy);
        return scope.Keep(noise is null || deviation == 0 ? mean : mean + (noise * deviation));
    }

    /// <summary>
    /// Heun's rule: the mean of two directions over the step. For variance-preserving schedules in σ, where z/a moves by ε̂ (Karras et al.
    /// 2022, algorithm 1 without churn); for flows in t, where z moves by v̂ = ε̂ − ẑ0.
    /// </summary>
    /// <param name="noisy">z_t.</param>
    /// <param name="here">The estimate at z_t.</param>
    /// <param name="there">The estimate at Euler's step from there, at the smaller level.</param>
    /// <param name="inTime">In t instead of σ.</param>
    public Tensor Heun(Tensor noisy, Estimate here, Estimate there, bool inTime)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(here);
        ArgumentNullException.ThrowIfNull(there);
        using var scope = TensorScope.Enter();
        var noises = here.Noise + there.Noise;
        return scope.Keep(
            inTime ? noisy + ((noises - here.Z0.Value - there.Z0.Value) * ((To.B - From.B) / 2)) : Along(noisy, noises * 0.5)
        );
    }

    /// <summary>a_s·(z_t/a_t + (σ_s − σ_t)·direction): a step in σ along any ε̂. Of ε̂ at z_t itself it is DDIM without noise.</summary>
    /// <param name="noisy">z_t, where something is left of the signal.</param>
    /// <param name="direction">A mean of ε̂ over the step.</param>
    public Tensor Along(Tensor noisy, Tensor direction)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(direction);
        using var scope = TensorScope.Enter();
        return scope.Keep((noisy * (To.A / From.A)) + (direction * (To.B - (To.A * From.Sigma))));
    }

    /// <summary>
    /// DPM-Solver++(2M): (b_s/b_t)·z_t − a_s·(e^−h − 1)·D, h the growth of λ = ln(a/b), D = ẑ0 + h/(2·h')·(ẑ0 − ẑ0'), primes meaning the
    /// step before (Lu et al., "DPM-Solver++", 2022, algorithm 2). Of first order on the first step, and where no noise is left, since λ is
    /// infinite there.
    /// </summary>
    /// <param name="noisy">z_t.</param>
    /// <param name="z0">ẑ0.</param>
    /// <param name="before">The step before and its ẑ0; null on the first.</param>
    public Tensor MultistepSecondOrder(Tensor noisy, Latent z0, (Transition Step, Latent Z0)? before)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(z0);
        var growth = To.Lambda - From.Lambda;
        using var scope = TensorScope.Enter();
        var data = z0.Value;
        if (before is { } last && To.B > 0)
        {
            var ratio = (From.Lambda - last.Step.From.Lambda) / growth;
            data += (z0.Value - last.Z0.Value) * (0.5 / ratio);
        }

        // e^−h − 1, without the difference of infinities at either end.
        var decay = To.B * From.A / (From.B * To.A);
        return scope.Keep((noisy * (To.B / From.B)) + (data * (To.A * (1 - decay))));
    }
}
