using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>What one step of a method looks at.</summary>
/// <param name="Plan">All steps.</param>
/// <param name="Index">This one.</param>
/// <param name="Noisy">z at its start.</param>
/// <param name="Estimate">What the network makes of it.</param>
/// <param name="Evaluate">Calls the network again, at another level.</param>
/// <param name="DrawNoise">Normal noise of the latents' shape.</param>
internal sealed record SolverStep(
    SamplingPlan Plan,
    int Index,
    Tensor Noisy,
    Estimate Estimate,
    Func<Tensor, NoisePoint, Estimate> Evaluate,
    Func<Tensor> DrawNoise
)
{
    public Transition Transition => Plan.Steps[Index];

    public bool IsLast => Index == Plan.Steps.Count - 1;
}

/// <summary>
/// A method of sampling; one object a trajectory, since some remember earlier steps. Disposing it frees what it kept of them.
/// </summary>
internal interface ISolver : IDisposable
{
    /// <summary>z at the end of a step. The tensors of earlier steps are gone, but for those that the solver kept itself.</summary>
    Tensor Step(SolverStep step);

    /// <summary>The method that options name.</summary>
    static ISolver Create(SamplerOptions options, Formulation formulation) =>
        options.Kind switch
        {
            SamplerKind.Heun => new HeunSolver(formulation is FlowFormulation),
            SamplerKind.DpmSolverPlusPlus => new DpmSolver(options),
            SamplerKind.UniPc => new UniPcSolver(options),
            SamplerKind.Pndm => new PndmSolver((formulation as DdpmFormulation)?.Prediction == PredictionType.VPrediction),
            SamplerKind.Lms => new LmsSolver(),
            _ => new SingleStepSolver(options),
        };
}

/// <summary>Methods that look at nothing but where they are.</summary>
internal sealed class SingleStepSolver(SamplerOptions options) : ISolver
{
    public Tensor Step(SolverStep step)
    {
        var transition = step.Transition;
        return options.Kind switch
        {
            SamplerKind.Ddim => transition.Ddim(step.Estimate, options.Eta, options.Eta > 0 ? step.DrawNoise() : null),
            SamplerKind.Ddpm => transition.Ancestral(
                step.Noisy,
                step.Estimate.Z0,
                transition.From.Model > 0 ? step.DrawNoise() : null,
                options.LargeVariance
            ),
            // σ_up² = σ_s²·(σ_t² − σ_s²)/σ_t² of z/a is the posterior's variance: DDIM with η = 1 on Euler's levels.
            SamplerKind.EulerAncestral => transition.Ddim(step.Estimate, 1, step.DrawNoise()),
            _ => transition.Ddim(step.Estimate),
        };
    }

    public void Dispose() { }
}

/// <summary>
/// Heun's method: Euler's step, the network again where it leads, and the mean of both directions. The last step, to no noise, is Euler's.
/// </summary>
internal sealed class HeunSolver(bool inTime) : ISolver
{
    public Tensor Step(SolverStep step)
    {
        var transition = step.Transition;
        var reached = transition.Ddim(step.Estimate);
        return transition.To.B > 0 ? transition.Heun(step.Noisy, step.Estimate, step.Evaluate(reached, transition.To), inTime) : reached;
    }

    public void Dispose() { }
}
