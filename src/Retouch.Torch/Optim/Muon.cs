using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>Scale of a matrix's update, which has singular values of about 1.</summary>
public enum MuonScale
{
    /// <summary>0.2·√max(rows, columns): root mean square of AdamW's updates, for its learning rates (Liu et al. 2025).</summary>
    Adamw,

    /// <summary>√max(1, rows/columns), for learning rates of about 0.02 (Jordan 2024).</summary>
    Original,
}

/// <summary>Options of <see cref="Muon"/> besides those of AdamW.</summary>
public sealed record MuonOptions
{
    /// <summary>Decay rate of the momentum, in [0, 1).</summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public double Momentum { get; init; } = 0.95;

    /// <summary>Nesterov's momentum: the update is that of the next momentum.</summary>
    public bool Nesterov { get; init; } = true;

    /// <summary>Newton–Schulz iterations, from 1 to 20.</summary>
    [Bounds(AtLeast = 1, AtMost = 20)]
    public int Iterations { get; init; } = 5;

    /// <summary>
    /// Scale of a matrix's update: adamw, 0.2·√max(rows, columns), for AdamW's learning rates, or original, √max(1, rows/columns).
    /// </summary>
    public MuonScale Scale { get; init; }

    /// <summary>Learning rate of the matrices as a multiple of learningRate, above 0.</summary>
    [Bounds(Above = 0)]
    public double RateFactor { get; init; } = 1;
}

/// <summary>
/// Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024): momentum whose matrix is replaced by the nearest
/// orthogonal one, approximately, by Newton–Schulz iterations. It trains matrices and convolution kernels, the latter with one row per
/// output channel; <see cref="AdamW"/> trains all other parameters. Iterations are in bfloat16 on GPUs, as published, and in float32
/// elsewhere.
/// </summary>
public sealed class Muon : Optimiser
{
    // Coefficients of the quintic iteration, and the smallest norm.
    private const double A = 3.4445;
    private const double B = -4.7750;
    private const double C = 2.0315;
    private const double SmallestNorm = 1e-7;

    private readonly MuonOptions _options;
    private readonly DecayGroups _groups;
    private readonly Tensor?[] _momenta;
    private readonly AdamW _others;
    private readonly int[] _places;

    /// <param name="parameters">Trained parameters; each must have a value.</param>
    /// <param name="others">Options of AdamW; its weight decay applies to all parameters.</param>
    /// <param name="options">Options of the matrices.</param>
    public Muon(IEnumerable<Parameter> parameters, AdamWOptions others, MuonOptions options)
        : base(parameters, null)
    {
        ArgumentNullException.ThrowIfNull(others);
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        using var quiet = Autograd.NoGrad();
        _groups = new DecayGroups(Parameters, others.WeightDecay, others.DecayOn);
        _momenta = [.. Parameters.Select(static p => IsMatrix(p) ? Zeros(p) : null)];
        Parameter[] rest = [.. Parameters.Where(static p => !IsMatrix(p))];
        _others = new AdamW(rest, others);
        _places = [.. Parameters.Select(p => Array.IndexOf(rest, p))];
    }

    /// <summary>Bytes of the state of a parameter in float32: a momentum of a matrix, or two moments.</summary>
    public static long BytesOf(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return IsMatrix(parameter) ? sizeof(float) * parameter.Count : AdamW.BytesOf(parameter);
    }

    /// <inheritdoc/>
    public override IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        for (var k = 0; k < Parameters.Count; k++)
        {
            if (_momenta[k] is { } momentum)
                yield return new($"momentum.{Parameters[k].Name}", momentum);
        }

        foreach (var state in _others.State())
            yield return state;
    }

    private protected override void Update(int[] indices, Tensor[] values, Tensor[] gradients, double rate)
    {
        int[] others = [.. Enumerable.Range(0, indices.Length).Where(k => _momenta[indices[k]] is null)];
        if (others.Length > 0)
            _others.Apply([.. others.Select(k => _places[indices[k]])], Of(others, values), Of(others, gradients), rate, Steps);
        rate *= _options.RateFactor;
        for (var k = 0; k < indices.Length; k++)
        {
            if (_momenta[indices[k]] is not { } momentum)
                continue;
            using var scope = TensorScope.Enter();
            var (value, gradient) = (values[k], gradients[k]);
            momentum.LerpInPlace(gradient, 1 - _options.Momentum);
            if (_options.Nesterov)
                gradient.LerpInPlace(momentum, _options.Momentum);
            var matrix = (_options.Nesterov ? gradient : momentum).View([value.Shape[0], -1]);
            if (_groups[indices[k]] is not 0 and var decay)
                value.MulInPlace(1 - (rate * decay));
            value.AddInPlace(Orthogonal(matrix).View(value.Shape), -rate * ScaleOf(matrix.Shape[0], matrix.Shape[1]));
        }
    }

    private static bool IsMatrix(Parameter parameter) => parameter is { Shape.Length: > 1, IsTable: false };

    private double ScaleOf(long rows, long columns) =>
        _options.Scale == MuonScale.Original ? Math.Sqrt(Math.Max(1, (double)rows / columns)) : 0.2 * Math.Sqrt(Math.Max(rows, columns));

    /// <summary>Approximately U·Vᵀ of a matrix U·S·Vᵀ, with singular values between about 0.7 and 1.2; contiguous.</summary>
    private Tensor Orthogonal(Tensor matrix)
    {
        using var scope = TensorScope.Enter();
        var tall = matrix.Shape[0] > matrix.Shape[1];
        var x = tall ? matrix.T() : matrix;
        x = x / x.Norm().ClampMin(SmallestNorm);
        if (x.Device.Type == DeviceType.Cuda)
            x = x.To(DType.BFloat16);
        for (var k = 0; k < _options.Iterations; k++)
        {
            var gram = x.Mm(x.T());
            x = x.Addmm(gram.Addmm(gram, gram, B, C), x, A, 1);
        }

        return scope.Keep((tall ? x.T() : x).To(matrix.DType).Contiguous());
    }
}
