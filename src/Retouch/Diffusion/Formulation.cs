using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>
/// Forward process, prediction target and conversion of the network output. Only this namespace uses a_t, b_t, σ, ε and v directly.
/// </summary>
public abstract class Formulation
{
    /// <param name="density">Training density of t in [0, 1]; null for uniform.</param>
    private protected Formulation(TimestepDensity? density) => Density = density ?? TimestepDensity.Uniform;

    /// <summary>Training density of t in [0, 1]; of a flow, before the shift.</summary>
    public TimestepDensity Density { get; }

    /// <summary>Upper bound of the network's timestep; 1000 for every published model.</summary>
    public abstract int TrainSteps { get; }

    /// <summary>Noise point at a timestep.</summary>
    /// <param name="model">Network timestep within the schedule; fractional timesteps are interpolated.</param>
    /// <exception cref="ArgumentOutOfRangeException">The timestep lies outside the schedule.</exception>
    public abstract NoisePoint PointAt(double model);

    /// <summary>Draws one timestep per sample from the training density.</summary>
    /// <param name="batch">Number of samples.</param>
    /// <param name="generator">CPU generator.</param>
    /// <returns>Network timesteps, as <see cref="NoisePoint.Timestep"/>.</returns>
    public double[] SampleTimes(int batch, Generator generator) => TimesOf(Density.Sample(batch, generator));

    /// <summary>Network timesteps of times drawn from the training density.</summary>
    /// <param name="drawn">Times in [0, 1], one per sample.</param>
    public abstract double[] TimesOf(double[] drawn);

    /// <summary>Network timestep at a fraction of the schedule; equal steps of the fraction are equal steps of the timestep.</summary>
    /// <param name="fraction">In [0, 1): 0 is the image, 1 is noise.</param>
    public abstract double TimeAt(double fraction);

    /// <summary>Training target of the network, same shape as the latents.</summary>
    public abstract Tensor Target(NoisedLatent noisy);

    /// <summary>Noise levels at given timesteps.</summary>
    /// <param name="model">Network timesteps, one per sample.</param>
    /// <param name="device">Device of the result.</param>
    public NoiseLevel LevelsAt(ReadOnlySpan<double> model, Device device)
    {
        var points = new NoisePoint[model.Length];
        for (var k = 0; k < points.Length; k++)
            points[k] = PointAt(model[k]);
        return NoiseLevel.Of(points, TrainSteps, device);
    }

    /// <summary>Forward process: z_t = a_t·z0 + b_t·ε.</summary>
    /// <param name="z0">[batch, channels, height, width].</param>
    /// <param name="noise">ε, same shape.</param>
    /// <param name="level">Noise levels, one per sample.</param>
    public NoisedLatent AddNoise(Latent z0, Tensor noise, NoiseLevel level)
    {
        ArgumentNullException.ThrowIfNull(z0);
        return new NoisedLatent(Mix(z0.Value, noise, level), z0, noise, level);
    }

    /// <summary>
    /// a_t·z0 + b_t·ε̂ ([PIX] eq. 1): the clean latent noised with the predicted noise. It differs from z_t by b_t·(ε̂ − ε): for v
    /// prediction by a_t·b_t·(v̂ − v), for flow by t·(1 − t)·(v̂ − v).
    /// </summary>
    public Tensor Remix(NoisedLatent noisy, Denoised denoised)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(denoised);
        return Mix(noisy.Clean.Value, denoised.Noise, noisy.Level);
    }

    /// <summary>Converts a network output to estimates of z0 and ε. Differentiable.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width], float32.</param>
    /// <param name="level">Noise levels, one per sample.</param>
    /// <param name="prediction">Network output, same shape.</param>
    public Denoised Read(Tensor noisy, NoiseLevel level, Prediction prediction)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        using var scope = TensorScope.Enter();
        var (z0, noise) = Read(noisy, level, Output(noisy, prediction));
        return new Denoised(new Latent(scope.Keep(z0)), scope.Keep(noise), prediction);
    }

    /// <summary>The prediction whose estimate of z0 is given; the inverse of <see cref="Read(Tensor, NoiseLevel, Prediction)"/>.
    /// Differentiable.</summary>
    /// <param name="noisy">Network input; b_t above 0.</param>
    /// <param name="z0">Estimate, same shape.</param>
    public Denoised FromEstimate(NoisedLatent noisy, Latent z0)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(z0);
        Tensor noise;
        using (var scope = TensorScope.Enter())
            noise = scope.Keep((noisy.Value - (Broadcast(noisy.Level.A) * z0.Value)) / Broadcast(noisy.Level.B));
        // The target of a clean latent and a noise is the output that states them.
        return new Denoised(z0, noise, new Prediction(Target(noisy with { Clean = z0, Noise = noise })));
    }

    /// <summary>
    /// Network output minus training target, [batch, channels, height, width]; its mean square is the diffusion loss.
    /// Differentiable.
    /// </summary>
    /// <param name="noisy">Network input.</param>
    /// <param name="prediction">Network output.</param>
    public Tensor Residual(NoisedLatent noisy, Prediction prediction)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        using var scope = TensorScope.Enter();
        return scope.Keep(Output(noisy.Value, prediction) - Target(noisy));
    }

    /// <summary>Loss weight of each sample's mean squared residual: [batch], float32, without a graph.</summary>
    /// <exception cref="UsageException">The weighting is not defined for this formulation.</exception>
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
                        $"The loss weighting {OptionValue.Of(weighting.Kind)} needs a rectified flow; use uniform or min-snr with a "
                            + "DDPM schedule."
                    ),
            }
        );
    }

    /// <summary>Reshapes [batch] to [batch, 1, 1, 1].</summary>
    protected static Tensor Broadcast(Tensor perSample)
    {
        ArgumentNullException.ThrowIfNull(perSample);
        return perSample.View([-1L, 1, 1, 1]);
    }

    /// <summary>ẑ0 and ε̂ from the network output, all float32 of the same shape.</summary>
    protected abstract (Tensor Z0, Tensor Noise) Read(Tensor noisy, NoiseLevel level, Tensor output);

    /// <summary>
    /// min(SNR, γ) weights of the ẑ0 error (Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", 2023),
    /// converted to weights of the network output: times |∂ẑ0/∂output|². Written so that neither a_t = 0 nor b_t = 0 gives 0·∞.
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
        // A shape that broadcasts would silently train on a wrong residual.
        if (!prediction.Value.Shape.AsSpan().SequenceEqual(noisy.Shape))
            throw new ArgumentException(
                $"The network returned [{string.Join(", ", prediction.Value.Shape)}] for latents [{string.Join(", ", noisy.Shape)}].",
                nameof(prediction)
            );
        // Finite-difference gradient checks run in float64.
        return prediction.Value.DType == DType.Float64 ? prediction.Value : prediction.Value.To(DType.Float32);
    }
}
