using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>DPM-Solver++(2M), or of first order.</summary>
internal sealed class DpmSolver(SamplerOptions options) : ISolver
{
    // diffusers lowers the order of the last step of short trajectories only.
    private const int FewSteps = 15;

    private (Transition Step, Latent Z0)? _before;

    public Tensor Step(SolverStep step)
    {
        var lower = options.SolverOrder == 1 || (step.IsLast && options.LowerOrderFinal && step.Plan.Steps.Count < FewSteps);
        var next = step.Transition.MultistepSecondOrder(step.Noisy, step.Estimate.Z0, lower ? null : _before);
        Dispose();
        _before = (step.Transition, new Latent(step.Estimate.Z0.Value.Alias().Escape()));
        return next;
    }

    public void Dispose() => _before?.Z0.Value.Dispose();
}

/// <summary>UniPC: each call of the network first corrects the step that led there, then serves the next one.</summary>
internal sealed class UniPcSolver(SamplerOptions options) : ISolver
{
    private readonly PastValues _past = new(options.SolverOrder);
    private Tensor? _start;
    private int _order;

    public Tensor Step(SolverStep step)
    {
        var (transition, z0) = (step.Transition, step.Estimate.Z0.Value);
        var noisy = _start is null ? step.Noisy : UniPc.Correct(transition.From, z0, _start, _past.Values, _order, options.UniPcVariant);
        _past.Add(transition.From, z0);
        _start?.Dispose();
        _start = noisy.Alias().Escape();
        _order = Math.Min(_past.Values.Count, options.LowerOrderFinal ? step.Plan.Steps.Count - step.Index : options.SolverOrder);
        // Where no noise is left λ is infinite, and only the first order is defined.
        return UniPc.Predict(transition.To, noisy, _past.Values, transition.To.B > 0 ? _order : 1, options.UniPcVariant);
    }

    public void Dispose()
    {
        _past.Dispose();
        _start?.Dispose();
    }
}

/// <summary>
/// PNDM's linear multistep part (Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds", 2022, eq. 9 and 12), as Stable
/// Diffusion is sampled: DDIM's transfer with a mean of the last four ε̂. The first step takes the network twice, for a mean of ε̂ at both
/// its ends.
/// </summary>
/// <param name="asVelocity">The mean is one of v̂: then ẑ0 and ε̂ are read from it where the step starts.</param>
internal sealed class PndmSolver(bool asVelocity) : ISolver
{
    private static readonly double[][] Weights =
    [
        [1],
        [1.5, -0.5],
        [23.0 / 12, -16.0 / 12, 5.0 / 12],
        [55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24],
    ];

    private readonly PastValues _past = new(4);

    public Tensor Step(SolverStep step)
    {
        var transition = step.Transition;
        var from = transition.From;
        _past.Add(from, Output(step.Estimate, from));
        var mean = _past.Sum(Weights[_past.Values.Count - 1]);
        if (step.Index == 0 && !step.IsLast)
        {
            var there = step.Evaluate(transition.Along(step.Noisy, Noise(step.Noisy, mean, from)), transition.To);
            mean = (mean + Output(there, transition.To)) * 0.5;
        }

        return transition.Along(step.Noisy, Noise(step.Noisy, mean, from));
    }

    public void Dispose() => _past.Dispose();

    private Tensor Output(Estimate estimate, NoisePoint at) =>
        asVelocity ? (estimate.Noise * at.A) - (estimate.Z0.Value * at.B) : estimate.Noise;

    private Tensor Noise(Tensor noisy, Tensor output, NoisePoint at) => asVelocity ? (noisy * at.B) + (output * at.A) : output;
}

/// <summary>
/// Linear multistep (Adams–Bashforth) in σ with uneven steps, of up to fourth order: the polynomial through the last ε̂, integrated over
/// the step.
/// </summary>
internal sealed class LmsSolver : ISolver
{
    private const int Order = 4;

    private readonly PastValues _past = new(Order);

    public Tensor Step(SolverStep step)
    {
        var transition = step.Transition;
        _past.Add(transition.From, step.Estimate.Noise);
        double[] sigmas = [.. _past.Values.Select(static v => v.At.Sigma)];
        var width = transition.To.Sigma - transition.From.Sigma;
        if (width == 0)
            return step.Noisy.Clone();
        // Along() makes one step of the mean direction; its weights sum to 1.
        return transition.Along(
            step.Noisy,
            _past.Sum([.. sigmas.Select((_, k) => Integral(sigmas, k, transition.From.Sigma, transition.To.Sigma) / width)])
        );
    }

    public void Dispose() => _past.Dispose();

    /// <summary>∫ of the k-th Lagrange polynomial; Gauss's rule of three points is exact up to degree 5.</summary>
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
