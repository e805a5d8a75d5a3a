using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>
/// One step of a sampler, from a noise level to a smaller one. It depends on a_t and b_t only, so that one rule serves all formulations:
/// the published rule for variance-preserving schedules, and its equivalent for rectified flow.
/// </summary>
/// <param name="From">Noise level of z_t.</param>
/// <param name="To">Noise level of z_s.</param>
public readonly record struct Transition(NoisePoint From, NoisePoint To)
{
    /// <summary>Variance of z_t given z_s, with s the smaller level: b_t² − (a_t/a_s)²·b_s² (β_t for a single DDPM step).</summary>
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

    /// <summary>a_s·(z_t/a_t + (σ_s − σ_t)·direction): a step in σ in direction ε̂. With ε̂ at z_t it equals DDIM without noise.</summary>
    /// <param name="noisy">z_t, at a level with a non-zero signal.</param>
    /// <param name="direction">Mean of ε̂ over the step.</param>
    public Tensor Along(Tensor noisy, Tensor direction)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(direction);
        using var scope = TensorScope.Enter();
        return scope.Keep((noisy * (To.A / From.A)) + (direction * (To.B - (To.A * From.Sigma))));
    }
}
