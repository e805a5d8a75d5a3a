using MathNet.Numerics.LinearAlgebra;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// B(h) of UniPC (Zhao et al. 2023, section 3.1): any function of order h preserves the order of accuracy; these two are published.
/// </summary>
public enum UniPcVariant
{
    /// <summary>B(h) = e^h − 1, better with many steps or guidance (default of diffusers).</summary>
    Bh2,

    /// <summary>B(h) = h.</summary>
    Bh1,
}

/// <summary>
/// UniPC: a multistep predictor with a corrector without additional network evaluations, since each evaluation first corrects the previous
/// step and then serves the next one (Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models",
/// NeurIPS 2023, algorithms 1 and 2). In data prediction, in λ = ln(a/b): z_t = (b_t/b_s)·z_s − a_t·(e^−h − 1)·m_s − a_t·B(−h)·Σ ρ_k·D_k,
/// where D_k = (m_k − m_s)/r_k, r_k = (λ_k − λ_s)/h, and ρ solves Σ_k ρ_k·r_k^(i−1) = i!·φ_{i+1}(−h)·(−h)/B(−h) for every i.
/// </summary>
public sealed record UniPc : Solver
{
    /// <summary>Order of the predictor, 1 to 3; the corrector adds one.</summary>
    public int SolverOrder { get; init; } = 2;

    /// <summary>
    /// Lower the order of the last steps, for stability. If sampling ends at zero noise, the last step is always of first order.
    /// </summary>
    public bool LowerOrderFinal { get; init; } = true;

    /// <summary>The function B(h).</summary>
    public UniPcVariant Variant { get; init; }

    /// <summary>End at the schedule's minimum noise level instead of zero.</summary>
    public bool EndAtLeastNoise { get; init; }

    /// <inheritdoc/>
    public override string Name => "unipc";

    /// <inheritdoc/>
    public override string Title => "UniPC";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Lambda;

    /// <inheritdoc/>
    // A first-order last step leaves an error of second order.
    public override int? Order => LowerOrderFinal ? 2 : SolverOrder + 1;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["UniPCMultistepScheduler"];

    /// <inheritdoc/>
    public override bool EndsAtLeastNoise => EndAtLeastNoise;

    /// <inheritdoc/>
    public override bool EndsAtLastLevel => true;

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation)
    {
        if (SolverOrder is < 1 or > 3)
            yield return ("solverOrder", "must be 1 to 3");
        if (!Enum.IsDefined(Variant))
            yield return ("variant", "is not a variant of B(h)");
        if (EndAtLeastNoise && formulation is FlowFormulation)
            yield return ("endAtLeastNoise", "is for DDPM schedules");
    }

    /// <inheritdoc/>
    public override Solver Read(SchedulerMembers scheduler, bool own)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        var members = scheduler.Members;
        var read = this with
        {
            EndAtLeastNoise = scheduler.EndsAtLeastNoise,
            Variant = members.Text("solver_type", "bh2") == "bh1" ? UniPcVariant.Bh1 : UniPcVariant.Bh2,
        };
        return own
            ? read with
            {
                SolverOrder = members.Integer("solver_order", 2),
                LowerOrderFinal = members.Boolean("lower_order_final", true),
            }
            : read;
    }

    /// <inheritdoc/>
    public override void Check(SchedulerMembers scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        var members = scheduler.Members;
        members.OneOf("solver_type", "bh2", "bh1", "bh2", "midpoint", "heun", "logrho");
        members.Only("predict_x0", true, "prediction of noise is not supported");
        if (members.Integer("solver_order", 2) > 3)
            throw members.Wrong("solver_order", "1, 2 or 3");
        if (members.Items("disable_corrector") > 0)
            throw members.Wrong("disable_corrector", "an empty list");
    }

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) => new Trajectory(this);

    /// <summary>Predictor UniP: one step from the newest level of the history to a smaller one.</summary>
    /// <param name="to">Target level.</param>
    /// <param name="noisy">z_s at the newest level.</param>
    /// <param name="past">History, newest first; the first <paramref name="order"/> values are used.</param>
    /// <param name="order">Order of accuracy, from 1.</param>
    /// <param name="variant">The function B(h).</param>
    internal static Tensor Predict(NoisePoint to, Tensor noisy, IReadOnlyList<PastValue> past, int order, UniPcVariant variant)
    {
        var ratios = Ratios(to, past, order);
        var h = Growth(to, past);
        // At order 2 the published predictor uses ½, the solution up to O(h).
        var weights = order == 2 ? [0.5] : Weights(ratios, h, variant);
        return Update(to, noisy, past, ratios, weights, null, variant);
    }

    /// <summary>Corrector UniC: repeats the step with ẑ0 at its end. Raises the order by one, without another network evaluation.</summary>
    /// <param name="to">Target level.</param>
    /// <param name="arrived">ẑ0 at the predicted latent.</param>
    /// <param name="noisy">z_s at the newest level of the history.</param>
    /// <param name="past">History, newest first; the first <paramref name="order"/> values are used.</param>
    /// <param name="order">Order of the predictor step.</param>
    /// <param name="variant">The function B(h).</param>
    internal static Tensor Correct(
        NoisePoint to,
        Tensor arrived,
        Tensor noisy,
        IReadOnlyList<PastValue> past,
        int order,
        UniPcVariant variant
    )
    {
        double[] ratios = [.. Ratios(to, past, order), 1];
        var weights = order == 1 ? [0.5] : Weights(ratios, Growth(to, past), variant);
        return Update(to, noisy, past, ratios, weights, arrived, variant);
    }

    private static double Growth(NoisePoint to, IReadOnlyList<PastValue> past) => to.Lambda - past[0].At.Lambda;

    private static double[] Ratios(NoisePoint to, IReadOnlyList<PastValue> past, int order)
    {
        var h = Growth(to, past);
        return [.. Enumerable.Range(1, order - 1).Select(k => (past[k].At.Lambda - past[0].At.Lambda) / h)];
    }

    /// <summary>Weights ρ, one per ratio.</summary>
    private static double[] Weights(double[] ratios, double h, UniPcVariant variant)
    {
        if (ratios.Length == 0)
            return [];
        var right = new double[ratios.Length];
        // x·φ_1(x) = e^x − 1 and φ_{k+1}(x) = (φ_k(x) − 1/k!)/x; x = −h in data prediction.
        var (phi, factorial) = (Expm1(-h) / -h, 1.0);
        for (var k = 0; k < right.Length; k++)
        {
            factorial *= k + 1;
            phi = (phi - (1 / factorial)) / -h;
            right[k] = factorial * phi * -h / B(h, variant);
        }

        var matrix = Matrix<double>.Build.Dense(ratios.Length, ratios.Length, (i, k) => Math.Pow(ratios[k], i));
        return matrix.Solve(Vector<double>.Build.Dense(right)).ToArray();
    }

    private static Tensor Update(
        NoisePoint to,
        Tensor noisy,
        IReadOnlyList<PastValue> past,
        double[] ratios,
        double[] weights,
        Tensor? arrived,
        UniPcVariant variant
    )
    {
        var (from, newest) = (past[0].At, past[0].Value);
        using var scope = TensorScope.Enter();
        // e^−h − 1 in a form without differences of infinities at zero noise.
        var decay = (to.B * from.A / (from.B * to.A)) - 1;
        var result = (noisy * (to.B / from.B)) - (newest * (to.A * decay));
        for (var k = 0; k < weights.Length; k++)
        {
            var other = arrived is not null && k == weights.Length - 1 ? arrived : past[k + 1].Value;
            result -= (other - newest) * (to.A * B(Growth(to, past), variant) * weights[k] / ratios[k]);
        }

        return scope.Keep(result);
    }

    private static double B(double h, UniPcVariant variant) => variant == UniPcVariant.Bh1 ? -h : Expm1(-h);

    /// <summary>e^x − 1 without cancellation near 0.</summary>
    private static double Expm1(double x) => Math.Abs(x) > 0.5 ? Math.Exp(x) - 1 : 2 * Math.Exp(x / 2) * Math.Sinh(x / 2);

    private sealed class Trajectory(UniPc options) : ISolverRun
    {
        private readonly PastValues _past = new(options.SolverOrder);
        private Tensor? _start;
        private int _order;

        public Tensor Step(SolverStep step)
        {
            var (transition, z0) = (step.Transition, step.Denoised.Z0.Value);
            var noisy = _start is null ? step.Noisy : Correct(transition.From, z0, _start, _past.Values, _order, options.Variant);
            _past.Add(transition.From, z0);
            _start?.Dispose();
            _start = noisy.Alias().Escape();
            _order = Math.Min(_past.Values.Count, options.LowerOrderFinal ? step.Plan.Steps.Count - step.Index : options.SolverOrder);
            // At zero noise λ is infinite and only first order is defined.
            return Predict(transition.To, noisy, _past.Values, transition.To.B > 0 ? _order : 1, options.Variant);
        }

        public void Dispose()
        {
            _past.Dispose();
            _start?.Dispose();
        }
    }
}
