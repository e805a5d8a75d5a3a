using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>
/// One step of a sampler, from a noise level to a smaller one, in a_t and b_t alone, so that a rule serves every formulation: for
/// variance-preserving schedules it is the published one, for rectified flow the same rule on its own path.
/// </summary>
/// <param name="From">The level of z_t.</param>
/// <param name="To">The level of z_s.</param>
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
}
