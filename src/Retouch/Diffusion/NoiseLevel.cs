using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>
/// Noise levels of a batch: z_t = a_t·z0 + b_t·ε. All tensors are [batch], float32, on the latent's device.
/// </summary>
/// <param name="Timestep">The time as the network takes it: the step of the schedule (DDPM), or 1000·t (flow).</param>
/// <param name="A">a_t, the signal's factor.</param>
/// <param name="B">b_t, the noise's factor.</param>
/// <param name="Sigma">σ_t = b_t/a_t, noise-to-signal; infinite where a_t is 0.</param>
public sealed record NoiseLevel(Tensor Timestep, Tensor A, Tensor B, Tensor Sigma)
{
    /// <summary>What <see cref="Timestep"/> counts up to.</summary>
    public int TrainSteps { get; init; } = 1000;

    /// <summary>
    /// The same as numbers on the host; null where only the tensors are known. A choice by noise level reads these, so that no device is
    /// waited for.
    /// </summary>
    public IReadOnlyList<NoisePoint>? Points { get; init; }

    /// <summary>Samples.</summary>
    public int Batch => checked((int)Timestep.Shape[0]);

    /// <summary>A new tensor [batch]: the time in [0, 1], <see cref="Timestep"/> over <see cref="TrainSteps"/>.</summary>
    public Tensor T() => Timestep / TrainSteps;

    /// <summary>A new tensor [batch]: the signal-to-noise ratio (a_t/b_t)² = 1/σ_t²; infinite where b_t is 0.</summary>
    public Tensor Snr()
    {
        using var scope = TensorScope.Enter();
        return scope.Keep((A / B).Square());
    }

    /// <summary>The levels of two batches as those of one, first these.</summary>
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

    /// <summary>The levels of single points.</summary>
    /// <param name="points">One a sample.</param>
    /// <param name="trainSteps">What <see cref="NoisePoint.Timestep"/> counts up to.</param>
    /// <param name="device">Where the tensors go.</param>
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
