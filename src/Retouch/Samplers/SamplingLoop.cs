using Retouch.Autoencoders;
using Retouch.Formulations;
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
    /// <summary>The network: z_t [batch, channels, height, width] and its level to a prediction. Its tensors are freed after each step.</summary>
    public delegate Prediction Predictor(Tensor noisy, NoiseLevel level);

    /// <summary>Draws latents from noise, without a graph; intermediates are freed step by step.</summary>
    /// <param name="predict">The network.</param>
    /// <param name="drawNoise">Normal noise of the latents' shape, on their device: once to start, then once for each step that takes some.</param>
    /// <param name="observe">Called after each step.</param>
    /// <param name="cancellation">Looked at before each step.</param>
    public Latent Run(Predictor predict, Func<Tensor> drawNoise, Action<SamplingState>? observe = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(predict);
        ArgumentNullException.ThrowIfNull(drawNoise);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var noisy = drawNoise() * plan.InitialScale;
        (Transition Step, Latent Z0)? before = null;
        for (var k = 0; k < plan.Steps.Count; k++)
        {
            cancellation.ThrowIfCancellationRequested();
            var (next, z0) = Step(plan.Steps[k], noisy, before, predict, drawNoise);
            observe?.Invoke(new SamplingState(k + 1, plan.Steps.Count, new Latent(next), z0));
            noisy.Dispose();
            before?.Z0.Value.Dispose();
            (noisy, before) = (next, (plan.Steps[k], z0));
        }

        return new Latent(scope.Keep(noisy));
    }

    private (Tensor Next, Latent Z0) Step(Transition step, Tensor noisy, (Transition Step, Latent Z0)? before, Predictor predict, Func<Tensor> drawNoise)
    {
        using var scope = TensorScope.Enter();
        var batch = new NoisePoint[noisy.Shape[0]];
        Array.Fill(batch, step.From);
        var level = NoiseLevel.Of(batch, formulation.TrainSteps, noisy.Device);
        var estimate = formulation.Recover(noisy, level, predict(noisy, level));
        var z0 = options.ClipRange is { } range ? new Latent(estimate.Z0.Value.Clamp(-range, range)) : estimate.Z0;
        // As in diffusers, clamping ẑ0 leaves ε̂ as it was.
        estimate = estimate with { Z0 = z0 };
        var next = options.Kind switch
        {
            SamplerKind.Ddim => step.Ddim(estimate, options.Eta, options.Eta > 0 ? drawNoise() : null),
            SamplerKind.Ddpm => step.Ancestral(noisy, z0, step.From.Model > 0 ? drawNoise() : null, options.LargeVariance),
            SamplerKind.Euler => step.Ddim(estimate),
            _ => step.MultistepSecondOrder(noisy, z0, before),
        };
        // A network that predicts z0 may have handed out a tensor of its own: what is kept here is this loop's to free.
        return (scope.Keep(next), new Latent(scope.Keep(z0.Value.Alias())));
    }
}
