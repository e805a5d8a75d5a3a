using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>State of a sampler. The latents are valid until the callback returns.</summary>
/// <param name="Step">Completed steps, from 1.</param>
/// <param name="Steps">Total steps.</param>
/// <param name="Noisy">Input of the next step.</param>
/// <param name="Estimate">x0 prediction ẑ0 of this step.</param>
public sealed record SamplingState(int Step, int Steps, Latent Noisy, Latent Estimate);

/// <summary>Runs a solver over a sampling plan.</summary>
/// <param name="options">Sampler options.</param>
/// <param name="plan">Steps.</param>
public sealed class SamplingLoop(SamplerOptions options, SamplingPlan plan)
{
    /// <summary>Samples latents from noise, without autograd; intermediates are freed after each step.</summary>
    /// <param name="model">The denoiser.</param>
    /// <param name="condition">Its condition.</param>
    /// <param name="drawNoise">Draws standard normal noise of the latents' shape, on their device: once at the start, then once per
    /// stochastic step.</param>
    /// <param name="observe">Called after each step.</param>
    /// <param name="cancellation">Checked before each step.</param>
    public Latent Run(
        IDenoisedModel model,
        Condition condition,
        Func<Tensor> drawNoise,
        Action<SamplingState>? observe = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(drawNoise);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var run = options.Solver.Start(model.Formulation);
        var noisy = drawNoise() * plan.InitialScale;
        for (var k = 0; k < plan.Steps.Count; k++)
        {
            cancellation.ThrowIfCancellationRequested();
            noisy = Step(run, k, noisy, (z, at) => Evaluate(model, condition, z, at), drawNoise, observe);
        }

        return new Latent(scope.Keep(noisy));
    }

    private Tensor Step(
        ISolverRun run,
        int index,
        Tensor noisy,
        Func<Tensor, NoisePoint, Denoised> evaluate,
        Func<Tensor> drawNoise,
        Action<SamplingState>? observe
    )
    {
        using var scope = TensorScope.Enter();
        var denoised = evaluate(noisy, plan.Steps[index].From);
        var next = run.Step(new SolverStep(plan, index, noisy, denoised, evaluate, drawNoise));
        observe?.Invoke(new SamplingState(index + 1, plan.Steps.Count, new Latent(next), denoised.Z0));
        noisy.Dispose();
        return scope.Keep(next);
    }

    private Denoised Evaluate(IDenoisedModel model, Condition condition, Tensor noisy, NoisePoint at)
    {
        var batch = new NoisePoint[noisy.Shape[0]];
        Array.Fill(batch, at);
        var level = NoiseLevel.Of(batch, model.Formulation.TrainSteps, noisy.Device);
        return options.Solver.Limit(model.At(noisy, level, condition), noisy, at);
    }
}
