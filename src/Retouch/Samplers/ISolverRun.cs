using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>Inputs of one solver step.</summary>
/// <param name="Plan">All steps.</param>
/// <param name="Index">Index of this step.</param>
/// <param name="Noisy">z at the start of the step.</param>
/// <param name="Denoised">Network prediction at the start of the step.</param>
/// <param name="Evaluate">Evaluates the network at another noise level.</param>
/// <param name="DrawNoise">Draws standard normal noise of the latents' shape.</param>
public sealed record SolverStep(
    SamplingPlan Plan,
    int Index,
    Tensor Noisy,
    Denoised Denoised,
    Func<Tensor, NoisePoint, Denoised> Evaluate,
    Func<Tensor> DrawNoise
)
{
    /// <summary>Noise levels at both ends of the step.</summary>
    public Transition Transition => Plan.Steps[Index];

    /// <summary>Whether this is the last step.</summary>
    public bool IsLast => Index == Plan.Steps.Count - 1;
}

/// <summary>One trajectory of a <see cref="Solver"/>; multistep methods keep earlier predictions. Disposing it frees them.</summary>
public interface ISolverRun : IDisposable
{
    /// <summary>z at the end of a step. Tensors of earlier steps are already freed, unless the run kept them.</summary>
    Tensor Step(SolverStep step);
}

/// <summary>A trajectory of a single-step method, without state.</summary>
/// <param name="rule">Update rule: z at the end of a step.</param>
public sealed class SingleStepRun(Func<SolverStep, Tensor> rule) : ISolverRun
{
    /// <inheritdoc/>
    public Tensor Step(SolverStep step) => rule(step);

    /// <inheritdoc/>
    public void Dispose() { }
}
