using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>Options of <see cref="Adafactor"/>.</summary>
public sealed record AdafactorOptions
{
    /// <summary>Exponent c of the second moment's decay rate 1 − t^−c in step t, in (0, 1].</summary>
    [Bounds(Above = 0, AtMost = 1)]
    public double DecayExponent { get; init; } = 0.8;

    /// <summary>ε1, added to squared gradients, above 0.</summary>
    [Bounds(Above = 0)]
    public double Epsilon { get; init; } = 1e-30;

    /// <summary>d, the largest root mean square of a tensor's update before the learning rate, above 0.</summary>
    [Bounds(Above = 0)]
    public double ClipThreshold { get; init; } = 1;

    /// <summary>
    /// Step relative to the weights, as in the paper: learning rate min(rate, 1/√t)·max(ε2, root mean square of the tensor). Without it,
    /// the learning rate is used as it is.
    /// </summary>
    public bool RelativeStep { get; init; }

    /// <summary>With relativeStep: ε2, the smallest scale of a tensor, above 0. Default 1e-3.</summary>
    [Bounds(Above = 0)]
    public double? SmallestScale { get; init; }

    /// <summary>Decoupled weight decay: weights are first multiplied by 1 − rate·decay.</summary>
    [Bounds(AtLeast = 0)]
    public double WeightDecay { get; init; }

    /// <summary>Parameters with weight decay: matrices (not biases, normalisations, embeddings) or all.</summary>
    public DecayedParameters DecayOn { get; init; }
}

/// <summary>
/// Adafactor without a first moment (Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018): the second
/// moment of a matrix is the product of its means over rows and over columns; updates are clipped by their root mean square. A convolution
/// kernel is a matrix with one row per output channel.
/// </summary>
public sealed class Adafactor : Optimiser
{
    private const double UsualScale = 1e-3;

    private readonly AdafactorOptions _options;
    private readonly DecayGroups _groups;
    private readonly SecondMoment[] _states;

    /// <param name="parameters">Trained parameters; each must have a value.</param>
    /// <param name="options">Options.</param>
    /// <param name="roundingSeeds">Seed of the stochastic rounding of a step; see <see cref="Optimiser"/>.</param>
    public Adafactor(IEnumerable<Parameter> parameters, AdafactorOptions options, Func<long, ulong>? roundingSeeds = null)
        : base(parameters, roundingSeeds)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _groups = new DecayGroups(Parameters, options.WeightDecay, options.DecayOn);
        using var quiet = Autograd.NoGrad();
        _states =
        [
            .. Parameters.Select(static p =>
                Matrix(p) is var (rows, columns)
                    ? new SecondMoment(Zeros(p, [rows]), Zeros(p, [columns]))
                    : new SecondMoment(Zeros(p), null)
            ),
        ];
    }

    /// <summary>Bytes of the state of a parameter: a row and a column of a matrix, or one second moment per element, in float32.</summary>
    public static long BytesOf(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return sizeof(float) * (Matrix(parameter) is var (rows, columns) ? rows + columns : parameter.Count);
    }

    /// <inheritdoc/>
    public override IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        for (var k = 0; k < Parameters.Count; k++)
        {
            var (name, state) = (Parameters[k].Name, _states[k]);
            if (state.Columns is null)
            {
                yield return new($"exp_avg_sq.{name}", state.Rows);
                continue;
            }

            yield return new($"exp_avg_sq_row.{name}", state.Rows);
            yield return new($"exp_avg_sq_col.{name}", state.Columns);
        }
    }

    private protected override void Update(int[] indices, Tensor[] values, Tensor[] gradients, double rate)
    {
        // 1 − β2 of this step.
        var share = Math.Pow(Steps, -_options.DecayExponent);
        var step = _options.RelativeStep ? Math.Min(rate, 1 / Math.Sqrt(Steps)) : rate;
        for (var k = 0; k < indices.Length; k++)
        {
            using var scope = TensorScope.Enter();
            var (value, state) = (values[k], _states[indices[k]]);
            var change = Normalised(gradients[k], state, share).View(value.Shape);
            change.DivInPlace((Size(change) / _options.ClipThreshold).ClampMin(1));
            if (_options.RelativeStep)
                change.MulInPlace(Size(value).ClampMin(_options.SmallestScale ?? UsualScale));
            if (_groups[indices[k]] is not 0 and var decay)
                value.MulInPlace(1 - (rate * decay));
            value.AddInPlace(change, -step);
        }
    }

    /// <summary>Rows and columns of a factored parameter; null for others.</summary>
    private static (long Rows, long Columns)? Matrix(Parameter parameter) =>
        parameter.Shape is [> 1 and var rows, ..] && parameter.Count / rows is > 1 and var columns ? (rows, columns) : null;

    /// <summary>Root mean square, as a tensor of the device.</summary>
    private static Tensor Size(Tensor tensor) => tensor.Square().Mean().Sqrt();

    /// <summary>The gradient over the root of its second moment, which is updated.</summary>
    private Tensor Normalised(Tensor gradient, SecondMoment state, double share)
    {
        using var scope = TensorScope.Enter();
        if (state.Columns is not { } columns)
        {
            state.Rows.LerpInPlace(gradient.Square() + _options.Epsilon, share);
            return scope.Keep(state.Rows.Rsqrt() * gradient);
        }

        var matrix = gradient.View([state.Rows.Count, columns.Count]);
        var squares = matrix.Square();
        squares.AddInPlace(_options.Epsilon);
        state.Rows.LerpInPlace(squares.Mean([1]), share);
        columns.LerpInPlace(squares.Mean([0]), share);
        var change = matrix * (state.Rows / state.Rows.Mean()).Rsqrt().Unsqueeze(1);
        change.MulInPlace(columns.Rsqrt());
        return scope.Keep(change);
    }

    /// <summary>Second moment: means over a matrix's rows and columns, or of each element without columns.</summary>
    private sealed record SecondMoment(Tensor Rows, Tensor? Columns);
}
