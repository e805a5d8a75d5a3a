using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>Parameters with weight decay.</summary>
public enum DecayedParameters
{
    /// <summary>Matrices and convolution kernels; not biases, scales and shifts of normalisations, and embedding tables.</summary>
    Matrices,

    /// <summary>All parameters, as PyTorch's AdamW without parameter groups.</summary>
    All,
}

/// <summary>Options of <see cref="AdamW"/>.</summary>
public sealed record AdamWOptions
{
    /// <summary>β1, the decay rate of the first moment, in [0, 1).</summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public double Beta1 { get; init; } = 0.9;

    /// <summary>β2, the decay rate of the second moment, in [0, 1).</summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public double Beta2 { get; init; } = 0.999;

    /// <summary>ε, added to the square root of the second moment.</summary>
    [Bounds(Above = 0)]
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay: weights are first multiplied by 1 − rate·decay.</summary>
    [Bounds(AtLeast = 0)]
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Parameters with weight decay: matrices (not biases, normalisations, embeddings) or all.</summary>
    public DecayedParameters DecayOn { get; init; }
}

/// <summary>Implementation of an update.</summary>
internal enum UpdateKernel
{
    /// <summary>The shim's kernel: one pass over memory, with the averages. CPU only.</summary>
    Shim,

    /// <summary>libtorch's fused operator (since 2.0 on GPUs), and one operator per average.</summary>
    Fused,

    /// <summary>Separate operators on lists of tensors.</summary>
    Lists,
}

/// <summary>
/// AdamW (Loshchilov and Hutter 2019) with decoupled decay, and the weight averages: on the CPU by the shim's kernel in a single pass over
/// memory, on GPUs by libtorch's fused operator, elsewhere and with older versions by its foreach operators. The moments are float32 (or
/// float64).
/// </summary>
public sealed class AdamW : Optimiser
{
    private readonly AdamWOptions _options;
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;
    private readonly UpdateKernel _kernel;
    private readonly DecayGroups _groups;

    /// <param name="parameters">Trained parameters; each must have a value.</param>
    /// <param name="options">Options.</param>
    /// <param name="roundingSeeds">Seed of the stochastic rounding of a step; see <see cref="Optimiser"/>.</param>
    public AdamW(IEnumerable<Parameter> parameters, AdamWOptions options, Func<long, ulong>? roundingSeeds = null)
        : this(parameters, options, null, roundingSeeds) { }

    /// <param name="parameters">Trained parameters.</param>
    /// <param name="options">Options.</param>
    /// <param name="kernel">Implementation; null: the fastest that the device has.</param>
    /// <param name="roundingSeeds">Seed of the stochastic rounding of a step.</param>
    internal AdamW(IEnumerable<Parameter> parameters, AdamWOptions options, UpdateKernel? kernel, Func<long, ulong>? roundingSeeds = null)
        : base(parameters, roundingSeeds)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _kernel =
            kernel
            ?? (
                Parameters.All(static p => p.Value.Device.Type == DeviceType.Cpu) ? UpdateKernel.Shim
                : Parameters.All(static p => p.Value.Device.Type == DeviceType.Cuda) && HasFused ? UpdateKernel.Fused
                : UpdateKernel.Lists
            );
        using var quiet = Autograd.NoGrad();
        _first = [.. Parameters.Select(Zeros)];
        _second = [.. Parameters.Select(Zeros)];
        _groups = new DecayGroups(Parameters, options.WeightDecay, options.DecayOn);
    }

    /// <summary>Whether libtorch has the fused operator: on GPUs since 2.0, on the CPU since 2.4.</summary>
    internal static bool HasFused => TorchRuntime.HasOperator("aten::_fused_adamw_");

    /// <summary>Bytes of the state of a parameter: two moments in float32.</summary>
    public static long BytesOf(Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return 2 * sizeof(float) * parameter.Count;
    }

    /// <inheritdoc/>
    public override IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        for (var k = 0; k < Parameters.Count; k++)
        {
            yield return new($"exp_avg.{Parameters[k].Name}", _first[k]);
            yield return new($"exp_avg_sq.{Parameters[k].Name}", _second[k]);
        }
    }

    // Without temporary tensors there is no need for portions.
    private protected override long PortionElements => _kernel == UpdateKernel.Lists || HasNarrow ? base.PortionElements : long.MaxValue;

    private protected override bool UpdateWith(IReadOnlyList<WeightAverage> averages, double[] decays, double rate, double scale)
    {
        if (_kernel != UpdateKernel.Shim || HasNarrow)
            return false;
        Tensor[] values = [.. Parameters.Select(static p => p.Value)];
        var gradients = Gradients();
        foreach (var (group, decay) in _groups.Of([.. Enumerable.Range(0, values.Length)]))
            Shim(
                Of(group, values),
                Of(group, gradients),
                group,
                [.. averages.SelectMany(a => Of(group, a.Shadows))],
                decays,
                Steps,
                rate,
                decay,
                scale
            );
        return true;
    }

    private protected override void Update(int[] indices, Tensor[] values, Tensor[] gradients, double rate) =>
        Apply(indices, values, gradients, rate, Steps);

    /// <summary>Updates some parameters.</summary>
    /// <param name="indices">Their indices.</param>
    /// <param name="values">Their values.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="step">Number of this update, from 1.</param>
    internal void Apply(int[] indices, Tensor[] values, Tensor[] gradients, double rate, long step)
    {
        if (_kernel == UpdateKernel.Lists)
        {
            ByLists(indices, values, gradients, rate, step);
            return;
        }

        // The operator takes the number of steps per parameter, as a tensor of the device.
        var steps = Ops.Full([], step, dtype: DType.Float32, device: values[0].Device);
        foreach (var (places, decay) in _groups.Of(indices, places: true))
        {
            var (group, some, slopes) = (Array.ConvertAll(places, k => indices[k]), Of(places, values), Of(places, gradients));
            if (_kernel == UpdateKernel.Shim)
                Shim(some, slopes, group, [], [], step, rate, decay, 1);
            else
                Ops.FusedAdamwInPlace(
                    some,
                    slopes,
                    Of(group, _first),
                    Of(group, _second),
                    [],
                    [.. group.Select(_ => steps)],
                    lr: rate,
                    beta1: _options.Beta1,
                    beta2: _options.Beta2,
                    weightDecay: decay,
                    eps: _options.Epsilon,
                    amsgrad: false,
                    maximize: false
                );
        }
    }

    private void Shim(
        Tensor[] values,
        Tensor[] gradients,
        int[] group,
        Tensor[] shadows,
        double[] decays,
        long step,
        double rate,
        double decay,
        double scale
    ) =>
        Ops.AdamwEmaInPlace(
            values,
            gradients,
            Of(group, _first),
            Of(group, _second),
            shadows,
            decays,
            rate,
            _options.Beta1,
            _options.Beta2,
            _options.Epsilon,
            decay,
            step,
            scale
        );

    private void ByLists(int[] indices, Tensor[] values, Tensor[] gradients, double rate, long step)
    {
        var bias1 = 1 - Math.Pow(_options.Beta1, step);
        var bias2 = 1 - Math.Pow(_options.Beta2, step);
        var (first, second) = (Of(indices, _first), Of(indices, _second));
        _groups.Decay(indices, values, rate);
        Ops.ForeachMulInPlace(first, _options.Beta1);
        Ops.ForeachAddInPlace(first, gradients, 1 - _options.Beta1);
        Ops.ForeachMulInPlace(second, _options.Beta2);
        Ops.ForeachAddcmulInPlace(second, gradients, gradients, 1 - _options.Beta2);
        var roots = Ops.ForeachSqrt(second);
        Ops.ForeachDivInPlace(roots, Math.Sqrt(bias2));
        Ops.ForeachAddInPlace(roots, _options.Epsilon);
        Ops.ForeachAddcdivInPlace(values, first, roots, -rate / bias1);
    }
}
