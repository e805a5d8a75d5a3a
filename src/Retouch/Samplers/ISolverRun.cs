using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers;

/// <summary>What one step of a method looks at.</summary>
/// <param name="Plan">All steps.</param>
/// <param name="Index">This one.</param>
/// <param name="Noisy">z at its start.</param>
/// <param name="Denoised">What the network makes of it.</param>
/// <param name="Evaluate">Calls the network again, at another level.</param>
/// <param name="DrawNoise">Normal noise of the latents' shape.</param>
public sealed record SolverStep(
    SamplingPlan Plan,
    int Index,
    Tensor Noisy,
    Denoised Denoised,
    Func<Tensor, NoisePoint, Denoised> Evaluate,
    Func<Tensor> DrawNoise
)
{
    /// <summary>From where to where.</summary>
    public Transition Transition => Plan.Steps[Index];

    /// <summary>Whether no step follows.</summary>
    public bool IsLast => Index == Plan.Steps.Count - 1;
}

/// <summary>
/// One trajectory of a <see cref="Solver"/>; some remember earlier steps. Disposing it frees what it kept of them.
/// </summary>
public interface ISolverRun : IDisposable
{
    /// <summary>z at the end of a step. The tensors of earlier steps are gone, but for those that the run kept itself.</summary>
    Tensor Step(SolverStep step);
}

/// <summary>A trajectory that remembers nothing.</summary>
/// <param name="rule">z at the end of a step.</param>
public sealed class SingleStepRun(Func<SolverStep, Tensor> rule) : ISolverRun
{
    /// <inheritdoc/>
    public Tensor Step(SolverStep step) => rule(step);

    /// <inheritdoc/>
    public void Dispose() { }
}
