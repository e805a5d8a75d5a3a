using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>How noise is mixed in, what the network predicts, and how that is read. Only this room knows a_t, b_t, σ, ε and v.</summary>
public abstract class Formulation
{
    /// <summary>What the time that the network takes counts up to; 1000 for every published model.</summary>
    public abstract int TrainSteps { get; }

    /// <summary>The noise level at a time.</summary>
    /// <param name="model">As the network takes it, within the schedule; fractions lie between their neighbours.</param>
    /// <exception cref="ArgumentOutOfRangeException">Outside the schedule.</exception>
    public abstract NoisePoint PointAt(double model);

    /// <summary>Draws a time for each sample, from the density that training uses.</summary>
    /// <param name="batch">Samples.</param>
    /// <param name="generator">On the CPU.</param>
    /// <returns>As <see cref="NoisePoint.Timestep"/>.</returns>
    public abstract double[] SampleTimes(int batch, Generator generator);

    /// <summary>What the network should put out, of the latents' shape.</summary>
    public abstract Tensor Target(NoisedLatent noisy);

    /// <summary>Draws a noise level for each sample, from the density that training uses.</summary>
    /// <param name="batch">Samples.</param>
    /// <param name="generator">On the CPU.</param>
    /// <param name="device">Where the result goes.</param>
    public NoiseLevel SampleLevels(int batch, Generator generator, Device device) => LevelsAt(SampleTimes(batch, generator), device);

    /// <summary>The noise levels at given times.</summary>
    /// <param name="model">As the network takes them, one a sample.</param>
    /// <param name="device">Where the result goes.</param>
    public NoiseLevel LevelsAt(ReadOnlySpan<double> model, Device device)
    {
        var points = new NoisePoint[model.Length];
        for (var k = 0; k < points.Length; k++)
            points[k] = PointAt(model[k]);
        return NoiseLevel.Of(points, TrainSteps, device);
    }

    /// <summary>z_t = a_t·z0 + b_t·ε.</summary>
    /// <param name="z0">[batch, channels, height, width].</param>
    /// <param name="noise">ε, of its shape.</param>
    /// <param name="level">One a sample.</param>
    public NoisedLatent AddNoise(Latent z0, Tensor noise, NoiseLevel level)
    {
        ArgumentNullException.ThrowIfNull(z0);
        return new NoisedLatent(Mix(z0.Value, noise, level), z0, noise, level);
    }

    /// <summary>
    /// a_t·z0 + b_t·ε̂ ([PIX] eq. 1): the noisy latent mixed again, with the noise that the network sees in it. It differs from z_t by
    /// b_t·(ε̂ − ε): for v by a_t·b_t·(v̂ − v), for flow by t·(1 − t)·(v̂ − v).
    /// </summary>
    public Tensor Remix(NoisedLatent noisy, Denoised denoised)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(denoised);
        return Mix(noisy.Clean.Value, denoised.Noise, noisy.Level);
    }

    /// <summary>Reads the output of a network as estimates of z0 and ε. Differentiable.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width], float32.</param>
    /// <param name="level">One a sample.</param>
    /// <param name="prediction">Of z_t's shape.</param>
    public Denoised Read(Tensor noisy, NoiseLevel level, Prediction prediction)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        using var scope = TensorScope.Enter();
        var (z0, noise) = Read(noisy, level, Output(noisy, prediction));
        return new Denoised(new Latent(scope.Keep(z0)), scope.Keep(noise), prediction);
    }

    /// <summary>
    /// The output of the network minus its target, [batch, channels, height, width]: its mean square is the formulation's own loss.
    /// Differentiable.
    /// </summary>
    /// <param name="noisy">The latents that the network saw.</param>
    /// <param name="prediction">Its output.</param>
    public Tensor Residual(NoisedLatent noisy, Prediction prediction)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        using var scope = TensorScope.Enter();
        return scope.Keep(Output(noisy.Value, prediction) - Target(noisy));
    }

    /// <summary>What each sample's mean square residual is multiplied by in the loss: [batch], float32, without a graph.</summary>
    /// <exception cref="UsageException">The weighting is not made for this formulation.</exception>
    public Tensor LossWeights(NoiseLevel level, LossWeighting weighting)
    {
        ArgumentNullException.ThrowIfNull(level);
        ArgumentNullException.ThrowIfNull(weighting);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return scope.Keep(
            weighting.Kind switch
            {
                LossWeightingKind.Uniform => Ops.OnesLike(level.Sigma),
                LossWeightingKind.MinSnr => MinSnrWeights(level, weighting.Gamma),
                _ => this is FlowFormulation
                    ? weighting.OfFlowTime(level.B)
                    : throw new UsageException(
                        $"The loss weighting {weighting.Kind} is made for rectified flow; use uniform or min-SNR with a DDPM schedule."
                    ),
            }
        );
    }

    /// <summary>[batch] to [batch, 1, 1, 1].</summary>
    protected static Tensor Broadcast(Tensor perSample)
    {
        ArgumentNullException.ThrowIfNull(perSample);
        return perSample.View([-1L, 1, 1, 1]);
    }

    /// <summary>ẑ0 and ε̂ from the network's output, all float32 of one shape.</summary>
    protected abstract (Tensor Z0, Tensor Noise) Read(Tensor noisy, NoiseLevel level, Tensor output);

    /// <summary>
    /// min(SNR, γ) weights of the error of ẑ0 (Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", 2023), carried
    /// over to the network's own output: times |∂ẑ0/∂output|². Written so that neither a_t = 0 nor b_t = 0 gives 0·∞.
    /// </summary>
    protected abstract Tensor MinSnrWeights(NoiseLevel level, double gamma);

    private static Tensor Mix(Tensor clean, Tensor noise, NoiseLevel level)
    {
        ArgumentNullException.ThrowIfNull(level);
        using var scope = TensorScope.Enter();
        return scope.Keep((Broadcast(level.A) * clean) + (Broadcast(level.B) * noise));
    }

    private static Tensor Output(Tensor noisy, Prediction prediction)
    {
        ArgumentNullException.ThrowIfNull(prediction);
        // A shape that merely broadcasts would train on nonsense in silence.
        if (!prediction.Value.Shape.AsSpan().SequenceEqual(noisy.Shape))
            throw new ArgumentException(
                $"The network put out [{string.Join(", ", prediction.Value.Shape)}] for latents [{string.Join(", ", noisy.Shape)}].",
                nameof(prediction)
            );
        // Gradients are checked by differences in float64, which stays.
        return prediction.Value.DType == DType.Float64 ? prediction.Value : prediction.Value.To(DType.Float32);
    }
}
