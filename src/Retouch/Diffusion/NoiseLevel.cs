using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>
/// Noise levels of a batch: z_t = a_t·z0 + b_t·ε. All tensors are [batch], float32, on the device of the latents.
/// </summary>
/// <param name="Timestep">Network timestep: schedule step (DDPM) or 1000·t (flow).</param>
/// <param name="A">Signal coefficient a_t.</param>
/// <param name="B">Noise coefficient b_t.</param>
/// <param name="Sigma">Noise-to-signal ratio σ_t = b_t/a_t; infinite at a_t = 0.</param>
public sealed record NoiseLevel(Tensor Timestep, Tensor A, Tensor B, Tensor Sigma)
{
    /// <summary>Upper bound of <see cref="Timestep"/>.</summary>
    public int TrainSteps { get; init; } = 1000;

    /// <summary>
    /// The same values on the host, or null. Decisions by noise level read these, which avoids a device synchronisation.
    /// </summary>
    public IReadOnlyList<NoisePoint>? Points { get; init; }

    /// <summary>Number of samples.</summary>
    public int Batch => checked((int)Timestep.Shape[0]);

    /// <summary>Normalised time <see cref="Timestep"/>/<see cref="TrainSteps"/> in [0, 1], a new tensor [batch].</summary>
    public Tensor T() => Timestep / TrainSteps;

    /// <summary>Signal-to-noise ratio (a_t/b_t)² = 1/σ_t², a new tensor [batch]; infinite at b_t = 0.</summary>
    public Tensor Snr()
    {
        using var scope = TensorScope.Enter();
        return scope.Keep((A / B).Square());
    }

    /// <summary>Concatenates the noise levels of two batches, this one first; <see cref="Points"/> is null.</summary>
    public NoiseLevel Concat(NoiseLevel other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return new NoiseLevel(
            Ops.Cat([Timestep, other.Timestep]),
            Ops.Cat([A, other.A]),
            Ops.Cat([B, other.B]),
            Ops.Cat([Sigma, other.Sigma])
        )
        {
            TrainSteps = TrainSteps,
        };
    }

    /// <summary>Builds the tensors from noise points.</summary>
    /// <param name="points">Noise points, one per sample.</param>
    /// <param name="trainSteps">Upper bound of <see cref="NoisePoint.Timestep"/>.</param>
    /// <param name="device">Device of the tensors.</param>
    public static NoiseLevel Of(ReadOnlySpan<NoisePoint> points, int trainSteps, Device device)
    {
        var (timestep, a, b, sigma) = (
            new float[points.Length],
            new float[points.Length],
            new float[points.Length],
            new float[points.Length]
        );
        for (var k = 0; k < points.Length; k++)
            (timestep[k], a[k], b[k], sigma[k]) = (
                (float)points[k].Timestep,
                (float)points[k].A,
                (float)points[k].B,
                (float)points[k].Sigma
            );
        return new NoiseLevel(Put(timestep, device), Put(a, device), Put(b, device), Put(sigma, device))
        {
            TrainSteps = trainSteps,
            Points = points.ToArray(),
        };
    }

    private static Tensor Put(float[] values, Device device)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Tensor.From(values).To(device));
    }
}
