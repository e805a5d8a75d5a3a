using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>Options of <see cref="Prodigy"/> besides those of AdamW.</summary>
public sealed record ProdigyOptions
{
    /// <summary>d of the first step, above 0: a lower bound of the estimate.</summary>
    [Bounds(Above = 0)]
    public double Start { get; init; } = 1e-6;

    /// <summary>Factor of the estimates of d, above 0; below 1 for smaller steps.</summary>
    [Bounds(Above = 0)]
    public double Factor { get; init; } = 1;

    /// <summary>Largest growth of d per step, above 1; null: unlimited.</summary>
    [Bounds(Above = 1)]
    public double? Growth { get; init; }

    /// <summary>Bias correction of the moments, as in Adam: larger steps at first. The authors use it for diffusion models.</summary>
    public bool BiasCorrection { get; init; }

    /// <summary>Leave the learning rate out of the estimate's denominator, against a large d in a warm-up.</summary>
    public bool SafeguardWarmup { get; init; }
}

/// <summary>
/// Prodigy (Mishchenko and Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", 2023, Algorithm 4): Adam whose step is
/// multiplied by an estimate d of the distance to the solution, from the gradients and the distance to the initial weights. The learning
/// rate is a factor of d, usually 1. Decoupled weight decay.
/// </summary>
public sealed class Prodigy : Optimiser
{
    private const string Estimate = "prodigy";

    private readonly AdamWOptions _options;
    private readonly ProdigyOptions _prodigy;
    private readonly DecayGroups _groups;
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;
    private readonly Tensor[] _sums;
    private readonly Tensor[] _start;

    // d, its largest estimate, and the numerator of the estimate; on the CPU.
    private readonly Tensor _scalars;

    // Of the last step, on the device: each parameter's term of the numerator and of the denominator. Their sums do not depend on the
    // processes that the parameters are divided among.
    private readonly Tensor _terms;
    private double[] _joined = [];
    private double _d;
    private double _largest;
    private double _numerator;
    private double _used;
    private double _weight;
    private bool _due;

    /// <param name="parameters">Trained parameters; each must have a value. The estimate is relative to these values.</param>
    /// <param name="options">Moments and weight decay.</param>
    /// <param name="prodigy">Options of the estimate.</param>
    public Prodigy(IEnumerable<Parameter> parameters, AdamWOptions options, ProdigyOptions prodigy)
        : base(parameters, null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(prodigy);
        (_options, _prodigy) = (options, prodigy);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        _groups = new DecayGroups(Parameters, options.WeightDecay, options.DecayOn);
        _first = [.. Parameters.Select(Zeros)];
        _second = [.. Parameters.Select(Zeros)];
        _sums = [.. Parameters.Select(Zeros)];
        _start = [.. Parameters.Select(static p => p.Value.Detach().Clone().Escape())];
        _scalars = Ops.Zeros([3], dtype: DType.Float64).Escape();
        var device = Parameters.Count == 0 ? Device.Cpu : Parameters[0].Value.Device;
        _terms = Ops.Zeros([2, Parameters.Count], dtype: DType.Float64, device: device).Escape();
        (_d, _largest, _used) = (prodigy.Start, prodigy.Start, prodigy.Start);
    }

    /// <summary>Bytes of the state of a parameter: two moments, a sum of gradients and the initial value, in float32.</summary>
    public static long BytesOf(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return 4 * sizeof(float) * parameter.Count;
    }

    /// <summary>Bytes of the state that do not depend on the parameters.</summary>
    public const long FixedBytes = 3 * sizeof(double);

    /// <inheritdoc/>
    public override IReadOnlyList<KeyValuePair<string, double>> Figures => [new("optimiser/d", _used)];

    /// <inheritdoc/>
    public override IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        Settle();
        using (TensorScope.Enter())
            _scalars.CopyInPlace(Tensor.From([_d, _largest, _numerator]));
        yield return new(Estimate, _scalars);
        for (var k = 0; k < Parameters.Count; k++)
        {
            var name = Parameters[k].Name;
            yield return new($"exp_avg.{name}", _first[k]);
            yield return new($"exp_avg_sq.{name}", _second[k]);
            yield return new($"gradient_sum.{name}", _sums[k]);
            yield return new($"start.{name}", _start[k]);
        }
    }

    /// <inheritdoc/>
    public override void LoadState(ITensorSource source, long steps)
    {
        base.LoadState(source, steps);
        var scalars = _scalars.ToArray<double>();
        (_d, _largest, _numerator) = (scalars[0], scalars[1], scalars[2]);
    }

    private protected override void Free() => _terms.Dispose();

    private protected override void Begin(double rate)
    {
        Settle();
        // Relative to the first d, so that float32 does not underflow; only the ratio of both sums matters.
        (_used, _weight, _due) = (_d, _d / _prodigy.Start * Rate(rate), true);
    }

    private protected override void Update(int[] indices, Tensor[] values, Tensor[] gradients, double rate)
    {
        var (first, second) = (Of(indices, _first), Of(indices, _second));
        var sums = Of(indices, _sums);
        var distances = Ops.ForeachSub(Of(indices, _start), values);
        Ops.ForeachMulInPlace(distances, gradients);
        var products = Ops.Stack(Array.ConvertAll(distances, static t => t.Sum(DType.Float64)));
        Ops.ForeachMulInPlace(first, _options.Beta1);
        Ops.ForeachAddInPlace(first, gradients, _d * (1 - _options.Beta1));
        Ops.ForeachMulInPlace(second, _options.Beta2);
        Ops.ForeachAddcmulInPlace(second, gradients, gradients, _d * _d * (1 - _options.Beta2));
        Ops.ForeachMulInPlace(sums, Beta3);
        Ops.ForeachAddInPlace(sums, gradients, _prodigy.SafeguardWarmup ? _d / _prodigy.Start * _d : _weight);
        var norms = Ops.Stack(Ops.ForeachNorm(sums, 1)).To(DType.Float64);
        _terms.Narrow(1, indices[0], indices.Length).CopyInPlace(Ops.Stack([products, norms]));
        var step = Rate(rate);
        _groups.Decay(indices, values, step);
        var roots = Ops.ForeachSqrt(second);
        Ops.ForeachAddInPlace(roots, _d * _options.Epsilon);
        Ops.ForeachAddcdivInPlace(values, first, roots, -step);
    }

    // At the end of the step, at which all processes take part; the state is read at any time.
    private protected override void End() => _joined = Share is null ? [] : Share.Join(_terms).ToArray<double>();

    private double Beta3 => Math.Sqrt(_options.Beta2);

    /// <summary>Learning rate times d, with bias correction if wanted.</summary>
    private double Rate(double rate) =>
        _d * rate * (_prodigy.BiasCorrection ? Math.Sqrt(1 - Math.Pow(_options.Beta2, Steps)) / (1 - Math.Pow(_options.Beta1, Steps)) : 1);

    /// <summary>The estimate after the last step, with one read from the device.</summary>
    private void Settle()
    {
        if (!_due)
            return;
        _due = false;
        var terms = Share is null ? _terms.ToArray<double>() : _joined;
        var (products, norm) = (terms[..(terms.Length / 2)].Sum(), terms[(terms.Length / 2)..].Sum());
        _numerator = (Beta3 * _numerator) + (_weight * products);
        if (norm <= 0)
            return;
        var estimate = _prodigy.Factor * _numerator / norm;
        if (_d == _prodigy.Start)
            _d = Math.Max(_d, estimate);
        _largest = Math.Max(_largest, estimate);
        _d = Math.Min(_largest, _d * (_prodigy.Growth ?? double.PositiveInfinity));
    }
}
