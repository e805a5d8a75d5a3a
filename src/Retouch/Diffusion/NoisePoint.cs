using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>One noise level, in double precision: z_t = a_t·z0 + b_t·ε. What samplers step between.</summary>
/// <param name="Timestep">The time as the network takes it: the step of the schedule (DDPM, fractions allowed), or 1000·t (flow).</param>
/// <param name="A">a_t, the signal's factor, at least 0.</param>
/// <param name="B">b_t, the noise's factor, at least 0.</param>
public readonly record struct NoisePoint(double Timestep, double A, double B)
{
    /// <summary>σ_t = b_t/a_t; infinite where nothing is left of the signal.</summary>
    public double Sigma => B / A;

    /// <summary>ln(a_t/b_t), half the logarithm of the signal-to-noise ratio (Lu et al. 2022).</summary>
    public double Lambda => Math.Log(A / B);

    /// <summary>a_t·z0 + b_t·ε, the same level for the whole batch.</summary>
    public Tensor Mix(Latent z0, Tensor noise)
    {
        ArgumentNullException.ThrowIfNull(z0);
        using var scope = TensorScope.Enter();
        return scope.Keep((z0.Value * A) + (noise * B));
    }
}
