using Retouch.Autoencoders;
using Retouch.Torch;

namespace Retouch.Formulations;

/// <summary>
/// Noise levels of a batch: z_t = a_t·z0 + b_t·ε. All tensors are [batch], float32, on the latent's device.
/// </summary>
/// <param name="Model">The time as the network takes it: the step of the schedule (DDPM), or 1000·t (flow).</param>
/// <param name="A">a_t, the signal's factor.</param>
/// <param name="B">b_t, the noise's factor.</param>
/// <param name="Sigma">σ_t = b_t/a_t, noise-to-signal.</param>
public sealed record NoiseLevel(Tensor Model, Tensor A, Tensor B, Tensor Sigma);

/// <summary>Latents with noise added, and what they were made of.</summary>
/// <param name="Value">z_t [batch, channels, height, width], float32.</param>
/// <param name="Clean">z0.</param>
/// <param name="Noise">ε, of z0's shape.</param>
/// <param name="Level">t of each sample.</param>
public sealed record NoisedLatent(Tensor Value, Latent Clean, Tensor Noise, NoiseLevel Level);

/// <summary>What a network put out, in its own parametrisation; only a <see cref="Formulation"/> reads it.</summary>
/// <param name="Value">[batch, channels, height, width].</param>
public sealed record Prediction(Tensor Value);

/// <summary>A prediction read as an estimate of what was mixed, in float32, whatever the parametrisation.</summary>
/// <param name="Z0">ẑ0.</param>
/// <param name="Noise">ε̂.</param>
/// <param name="Residual">Network output minus its target: its mean square is the formulation's own loss.</param>
public sealed record CleanEstimate(Latent Z0, Tensor Noise, Tensor Residual);

/// <summary>How noise is mixed in, what the network predicts, and how that is read. Only this room knows a_t, b_t, σ, ε and v.</summary>
public abstract class Formulation
{
    /// <summary>Draws a noise level for each sample, from the density that training uses.</summary>
    /// <param name="batch">Samples.</param>
    /// <param name="generator">On the CPU.</param>
    /// <param name="device">Where the result goes.</param>
    public abstract NoiseLevel SampleLevels(int batch, Generator generator, Device device);

    /// <summary>z_t = a_t·z0 + b_t·ε.</summary>
    public NoisedLatent AddNoise(Latent z0, Tensor noise, NoiseLevel level)
    {
        ArgumentNullException.ThrowIfNull(z0);
        ArgumentNullException.ThrowIfNull(level);
        var value = (Broadcast(level.A) * z0.Value) + (Broadcast(level.B) * noise);
        return new NoisedLatent(value, z0, noise, level);
    }

    /// <summary>What the network should put out.</summary>
    public abstract Tensor Target(NoisedLatent noisy);

    /// <summary>Reads a prediction as estimates of z0 and ε.</summary>
    public abstract CleanEstimate Recover(NoisedLatent noisy, Prediction prediction);

    /// <summary>[batch] to [batch, 1, 1, 1].</summary>
    protected static Tensor Broadcast(Tensor perSample) => perSample.View([-1L, 1, 1, 1]);
}
