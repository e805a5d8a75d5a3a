using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Samplers.Solvers;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Where a sampler is. The latents live until the callback returns.</summary>
/// <param name="Step">Steps done, from 1.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="Noisy">What the next step starts from.</param>
/// <param name="Estimate">ẑ0 of this step: what the picture is going to be.</param>
public sealed record SamplingState(int Step, int Steps, Latent Noisy, Latent Estimate);

/// <summary>Runs a sampler over anything that predicts.</summary>
/// <param name="formulation">How predictions are read.</param>
/// <param name="options">The method.</param>
/// <param name="plan">Its steps.</param>
public sealed class SamplingLoop(Formulation formulation, SamplerOptions options, SamplingPlan plan)
{
    /// <summary>
    /// The network: z_t [batch, channels, height, width] and its level to a prediction. Its tensors are freed after each step.
    /// </summary>
    public delegate Prediction Predictor(Tensor noisy, NoiseLevel level);

    /// <summary>Draws latents from noise, without a graph; intermediates are freed step by step.</summary>
    /// <param name="predict">The network.</param>
    /// <param name="drawNoise">Normal noise of the latents' shape, on their device: once to start, then once for each step that takes
    /// some.</param>
    /// <param name="observe">Called after each step.</param>
    /// <param name="cancellation">Looked at before each step.</param>
    public Latent Run(
        Predictor predict,
        Func<Tensor> drawNoise,
        Action<SamplingState>? observe = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(predict);
        ArgumentNullException.ThrowIfNull(drawNoise);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var solver = ISolver.Create(options, formulation);
        var noisy = drawNoise() * plan.InitialScale;
        for (var k = 0; k < plan.Steps.Count; k++)
        {
            cancellation.ThrowIfCancellationRequested();
            noisy = Step(solver, k, noisy, predict, drawNoise, observe);
        }

        return new Latent(scope.Keep(noisy));
    }

    private Tensor Step(ISolver solver, int index, Tensor noisy, Predictor predict, Func<Tensor> drawNoise, Action<SamplingState>? observe)
    {
        using var scope = TensorScope.Enter();
        Estimate Evaluate(Tensor z, NoisePoint at) => this.Evaluate(z, at, predict);
        var estimate = Evaluate(noisy, plan.Steps[index].From);
        var next = solver.Step(new SolverStep(plan, index, noisy, estimate, Evaluate, drawNoise));
        observe?.Invoke(new SamplingState(index + 1, plan.Steps.Count, new Latent(next), estimate.Z0));
        noisy.Dispose();
        return scope.Keep(next);
    }

    private Estimate Evaluate(Tensor noisy, NoisePoint at, Predictor predict)
    {
        var batch = new NoisePoint[noisy.Shape[0]];
        Array.Fill(batch, at);
        var level = NoiseLevel.Of(batch, formulation.TrainSteps, noisy.Device);
        var estimate = formulation.Recover(noisy, level, predict(noisy, level));
        if (options.ClipRange is not { } range)
            return estimate;
        var z0 = new Latent(estimate.Z0.Value.Clamp(-range, range));
        // As in diffusers: clamping ẑ0 leaves ε̂ as it was, but not in Heun's method, whose direction is z's way to ẑ0.
        return options.Kind == SamplerKind.Heun ? new Estimate(z0, (noisy - (z0.Value * at.A)) / at.B) : estimate with { Z0 = z0 };
    }
}
