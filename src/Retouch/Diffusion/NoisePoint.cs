using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>A single noise level in double precision, as used by samplers: z_t = a_t·z0 + b_t·ε.</summary>
/// <param name="Timestep">Network timestep: schedule step (DDPM, possibly fractional) or 1000·t (flow).</param>
/// <param name="A">Signal coefficient a_t, at least 0.</param>
/// <param name="B">Noise coefficient b_t, at least 0.</param>
public readonly record struct NoisePoint(double Timestep, double A, double B)
{
    /// <summary>Noise-to-signal ratio σ_t = b_t/a_t; infinite at a_t = 0.</summary>
    public double Sigma => B / A;

    /// <summary>ln(a_t/b_t), half the log signal-to-noise ratio (Lu et al. 2022).</summary>
    public double Lambda => Math.Log(A / B);

    /// <summary>Forward process a_t·z0 + b_t·ε with the same level for every sample.</summary>
    public Tensor Mix(Latent z0, Tensor noise)
    {
        ArgumentNullException.ThrowIfNull(z0);
        using var scope = TensorScope.Enter();
        return scope.Keep((z0.Value * A) + (noise * B));
    }
}
