using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>
/// Schedule-free AdamW (Defazio et al., "The Road Less Scheduled", 2024, Algorithm 1): the base sequence z takes AdamW's steps without
/// momentum, x is its weighted average and the result of the training, and gradients are evaluated at y = (1 − β1)·z + β1·x. The network
/// holds y while it is trained; averages follow x, and <see cref="Evaluate"/> puts x into the network.
/// </summary>
public sealed class ScheduleFree : Optimiser
{
    private readonly AdamWOptions _options;
    private readonly DecayGroups _groups;
    private readonly Tensor[] _base;
    private readonly Tensor[] _second;

    // Sum of the weights of x, and the largest learning rate so far; on the CPU.
    private readonly Tensor _scalars;
    private double _sum;
    private double _largestRate;
    private double _share;

    /// <param name="parameters">Trained parameters; each must have a value.</param>
    /// <param name="options">Options; β1, above 0, is the interpolation between z and x.</param>
    public ScheduleFree(IEnumerable<Parameter> parameters, AdamWOptions options)
        : base(parameters, null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Beta1);
        _options = options;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        _groups = new DecayGroups(Parameters, options.WeightDecay, options.DecayOn);
        _base = [.. Parameters.Select(static p => p.Value.Detach().Clone().Escape())];
        _second = [.. Parameters.Select(Zeros)];
        _scalars = Ops.Zeros([2], dtype: DType.Float64).Escape();
    }

    /// <summary>Bytes of the state that do not depend on the parameters.</summary>
    public const long FixedBytes = 2 * sizeof(double);

    /// <summary>Bytes of the state of a parameter: z and a second moment, in float32.</summary>
    public static long BytesOf(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return 2 * sizeof(float) * parameter.Count;
    }

    /// <inheritdoc/>
    public override IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        using (TensorScope.Enter())
            _scalars.CopyInPlace(Tensor.From([_sum, _largestRate]));
        yield return new("schedule_free", _scalars);
        for (var k = 0; k < Parameters.Count; k++)
        {
            yield return new($"z.{Parameters[k].Name}", _base[k]);
            yield return new($"exp_avg_sq.{Parameters[k].Name}", _second[k]);
        }
    }

    /// <inheritdoc/>
    public override void LoadState(ITensorSource source, long steps)
    {
        base.LoadState(source, steps);
        var scalars = _scalars.ToArray<double>();
        (_sum, _largestRate) = (scalars[0], scalars[1]);
    }

    /// <inheritdoc/>
    public override IDisposable Evaluate() => new Averages(this);

    private protected override void Begin(double rate)
    {
        _largestRate = Math.Max(_largestRate, rate);
        var weight = _largestRate * _largestRate;
        _sum += weight;
        _share = _sum > 0 ? weight / _sum : 0;
    }

    private protected override void Update(int[] indices, Tensor[] values, Tensor[] gradients, double rate)
    {
        var (bases, second) = (Of(indices, _base), Of(indices, _second));
        Ops.ForeachMulInPlace(second, _options.Beta2);
        Ops.ForeachAddcmulInPlace(second, gradients, gradients, 1 - _options.Beta2);
        var roots = Ops.ForeachSqrt(second);
        Ops.ForeachDivInPlace(roots, Math.Sqrt(1 - Math.Pow(_options.Beta2, Steps)));
        Ops.ForeachAddInPlace(roots, _options.Epsilon);
        Ops.ForeachDivInPlace(gradients, roots);
        foreach (var (places, decay) in _groups.Of(indices, places: true))
        {
            if (decay != 0)
                Ops.ForeachAddInPlace(Of(places, gradients), Of(places, values), decay);
        }

        // y moves with x towards the old z, and by its part of z's step.
        for (var k = 0; k < values.Length; k++)
            values[k].LerpInPlace(bases[k], _share);
        Ops.ForeachAddInPlace(values, gradients, rate * ((_options.Beta1 * (1 - _share)) - 1));
        Ops.ForeachAddInPlace(bases, gradients, -rate);
    }

    private protected override Tensor[] Averaged(int[] indices, Tensor[] values) =>
        [.. indices.Select((k, place) => Average(values[place], _base[k]))];

    /// <summary>x of y and z.</summary>
    private Tensor Average(Tensor value, Tensor start) => value.Detach().Lerp(start, 1 - (1 / _options.Beta1));

    /// <summary>x in the network, until disposed. y is kept, since it does not follow exactly from x.</summary>
    private sealed class Averages : IDisposable
    {
        private readonly ScheduleFree _optimiser;
        private readonly Tensor[] _kept;

        public Averages(ScheduleFree optimiser)
        {
            _optimiser = optimiser;
            using var quiet = Autograd.NoGrad();
            var parameters = optimiser.Parameters;
            _kept = new Tensor[parameters.Count];
            for (var k = 0; k < _kept.Length; k++)
            {
                using var scope = TensorScope.Enter();
                _kept[k] = parameters[k].Value.Detach().Clone().Escape();
                parameters[k].Value.CopyInPlace(optimiser.Average(_kept[k], optimiser._base[k]));
            }
        }

        public void Dispose()
        {
            using var quiet = Autograd.NoGrad();
            for (var k = 0; k < _kept.Length; k++)
            {
                _optimiser.Parameters[k].Value.CopyInPlace(_kept[k]);
                _kept[k].Dispose();
            }
        }
    }
}
