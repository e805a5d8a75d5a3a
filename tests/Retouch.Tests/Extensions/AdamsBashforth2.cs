using Retouch.Diffusion;
using Retouch.Samplers;
using Retouch.Samplers.Solvers;
using Retouch.Torch;

namespace Retouch.Tests.Extensions;

/// <summary>
/// A sampling method defined outside the library: the convergence tests find it and check its order. Two-step Adams–Bashforth in σ with
/// uneven steps: ε̂ + h/(2·h')·(ε̂ − ε̂'), where primes denote the previous step.
/// </summary>
public sealed record AdamsBashforth2 : Solver
{
    public override string Name => "test-ab2";

    public override string Title => "two-step Adams–Bashforth";

    public override SolverLevels Levels => SolverLevels.Sigma;

    public override int? Order => 2;

    public override ISolverRun Start(Formulation formulation) => new Run();

    private sealed class Run : ISolverRun
    {
        private readonly PastValues _past = new(2);

        public Tensor Step(SolverStep step)
        {
            var transition = step.Transition;
            _past.Add(transition.From, step.Denoised.Noise);
            if (_past.Values.Count == 1)
                return transition.Along(step.Noisy, step.Denoised.Noise);
            var half = (transition.To.Sigma - transition.From.Sigma) / (2 * (transition.From.Sigma - _past.Values[1].At.Sigma));
            return transition.Along(step.Noisy, _past.Sum([1 + half, -half]));
        }

        public void Dispose() => _past.Dispose();
    }
}
