using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// Linear multistep method (Adams–Bashforth) in σ with non-uniform steps, up to fourth order: the polynomial through the last values of ε̂,
/// integrated over the step (Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I", section III.5; k-diffusion's
/// <c>sample_lms</c>). DDPM networks only.
/// </summary>
public sealed record Lms : Solver
{
    /// <inheritdoc/>
    public override string Name => "lms";

    /// <inheritdoc/>
    public override string Title => "LMS";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Sigma;

    /// <inheritdoc/>
    // Fourth order except for the first steps, which start with Euler: the dominant error depends on the number of steps.
    public override int? Order => null;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["LMSDiscreteScheduler"];

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation)
    {
        if (formulation is FlowFormulation)
            yield return ("solver", "LMS is for DDPM networks; sample a flow with euler, heun, dpmpp-2m or unipc");
    }

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) => new Trajectory();

    private sealed class Trajectory : ISolverRun
    {
        private const int Past = 4;

        private readonly PastValues _past = new(Past);

        public Tensor Step(SolverStep step)
        {
            var transition = step.Transition;
            _past.Add(transition.From, step.Denoised.Noise);
            double[] sigmas = [.. _past.Values.Select(static v => v.At.Sigma)];
            var width = transition.To.Sigma - transition.From.Sigma;
            if (width == 0)
                return step.Noisy.Clone();
            // Along() takes one step in the mean direction; the weights sum to 1.
            return transition.Along(
                step.Noisy,
                _past.Sum([.. sigmas.Select((_, k) => Integral(sigmas, k, transition.From.Sigma, transition.To.Sigma) / width)])
            );
        }

        public void Dispose() => _past.Dispose();

        /// <summary>Integral of the k-th Lagrange polynomial; three-point Gauss quadrature is exact up to degree 5.</summary>
        private static double Integral(double[] nodes, int k, double from, double to)
        {
            var (middle, half, outer) = ((from + to) / 2, (to - from) / 2, Math.Sqrt(0.6));
            double Basis(double x)
            {
                var product = 1.0;
                for (var j = 0; j < nodes.Length; j++)
                    product *= j == k ? 1 : (x - nodes[j]) / (nodes[k] - nodes[j]);
                return product;
            }

            return half * (((5 * Basis(middle - (outer * half))) + (8 * Basis(middle)) + (5 * Basis(middle + (outer * half)))) / 9);
        }
    }
}
