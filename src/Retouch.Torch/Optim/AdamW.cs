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
/// memory, on GPUs by libtorch's fused operator, elsewhere and with older versions by its foreach operators. Parameters, moments and
/// averages are float32 (or float64) master copies.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly IReadOnlyList<Parameter> _parameters;
    private readonly AdamWOptions _options;
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;
    private readonly UpdateKernel _kernel;
    private readonly IReadOnlyList<(int[] Parameters, double Decay)> _groups;

    /// <param name="parameters">Trained parameters; each must have a value.</param>
    /// <param name="options">Options.</param>
    public AdamW(IEnumerable<Parameter> parameters, AdamWOptions options)
        : this(parameters, options, null) { }

    /// <param name="parameters">Trained parameters.</param>
    /// <param name="options">Options.</param>
    /// <param name="kernel">Implementation; null: the fastest that the device has.</param>
    internal AdamW(IEnumerable<Parameter> parameters, AdamWOptions options, UpdateKernel? kernel)
    {
        ArgumentNullException.ThrowIfNull(options);
        _parameters = [.. parameters];
        _options = options;
        _kernel =
            kernel
            ?? (
                _parameters.All(static p => p.Value.Device.Type == DeviceType.Cpu) ? UpdateKernel.Shim
                : _parameters.All(static p => p.Value.Device.Type == DeviceType.Cuda) && HasFused ? UpdateKernel.Fused
                : UpdateKernel.Lists
            );
        using var quiet = Autograd.NoGrad();
        _first = [.. _parameters.Select(static p => p.Value.ZerosLike().Escape())];
        _second = [.. _parameters.Select(static p => p.Value.ZerosLike().Escape())];
        var decayed = Enumerable
            .Range(0, _parameters.Count)
            .ToLookup(k => options.DecayOn == DecayedParameters.All || _parameters[k] is { Shape.Length: > 1, IsTable: false });
        _groups =
            options.WeightDecay == 0 || decayed.Count == 1
                ? [([.. Enumerable.Range(0, _parameters.Count)], decayed[true].Any() ? options.WeightDecay : 0)]
                : [([.. decayed[true]], options.WeightDecay), ([.. decayed[false]], 0)];
    }

    /// <summary>Whether libtorch has the fused operator: on GPUs since 2.0, on the CPU since 2.4.</summary>
    internal static bool HasFused => TorchRuntime.HasOperator("aten::_fused_adamw_");

    /// <summary>Number of steps taken.</summary>
    public long Steps { get; private set; }

    /// <summary>Global L2 norm of the gradients, in float64; missing gradients count as zero.</summary>
    public double GradientNorm()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var gradients = _parameters.Select(static p => p.Value.Grad).OfType<Tensor>().Select(static g => g.Contiguous()).ToArray();
        return gradients.Length == 0 ? 0 : Norm(gradients);
    }

    /// <summary>Whether all weights and moments are finite.</summary>
    public bool IsFinite()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return double.IsFinite(Norm([.. _parameters.Select(static p => p.Value.Detach().Contiguous()), .. _first, .. _second]));
    }

    /// <summary>Performs an update from the accumulated gradients and updates the averages in the same pass.</summary>
    /// <param name="learningRate">Current learning rate.</param>
    /// <param name="gradientScale">Multiplies every gradient, for clipping or averaging over accumulated batches.</param>
    /// <param name="averages">Averages of the same parameters.</param>
    public void Step(double learningRate, double gradientScale, IReadOnlyList<WeightAverage> averages)
    {
        ArgumentNullException.ThrowIfNull(averages);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        Steps++;
        var values = _parameters.Select(static p => p.Value).ToArray();
        // Missing gradients are zero, as in PyTorch after zero_grad(set_to_none=False): moments decay and weight decay applies.
        var gradients = _parameters.Select(static p => (p.Value.Grad ?? p.Value.ZerosLike()).Contiguous()).ToArray();
        var decays = averages.Select(a => a.NextDecay()).ToArray();
        if (_kernel == UpdateKernel.Shim)
        {
            foreach (var (group, decay) in _groups)
            {
                Tensor[] Of(IReadOnlyList<Tensor> all) => [.. group.Select(k => all[k])];
                Ops.AdamwEmaInPlace(
                    Of(values),
                    Of(gradients),
                    Of(_first),
                    Of(_second),
                    [.. averages.SelectMany(a => Of(a.Shadows))],
                    decays,
                    learningRate,
                    _options.Beta1,
                    _options.Beta2,
                    _options.Epsilon,
                    decay,
                    Steps,
                    gradientScale
                );
            }

            return;
        }

        if (gradientScale != 1)
            Ops.ForeachMulInPlace(gradients, gradientScale);
        if (_kernel == UpdateKernel.Fused)
            StepFused(values, gradients, learningRate);
        else
            StepByLists(values, gradients, learningRate);
        for (var a = 0; a < averages.Count; a++)
            averages[a].Follow(values, decays[a]);
    }

    /// <summary>Clears all gradients.</summary>
    public void ZeroGrad()
    {
        foreach (var parameter in _parameters)
            parameter.Value.Grad = null;
    }

    /// <summary>Moments by key, for checkpoints. They stay owned by the optimiser.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State()
    {
        for (var k = 0; k < _parameters.Count; k++)
        {
            yield return new($"exp_avg.{_parameters[k].Name}", _first[k]);
            yield return new($"exp_avg_sq.{_parameters[k].Name}", _second[k]);
        }
    }

    /// <summary>Restores the state from a checkpoint.</summary>
    /// <param name="source">Tensors with the keys of <see cref="State"/>.</param>
    /// <param name="steps">Number of steps at the checkpoint.</param>
    public void LoadState(ITensorSource source, long steps)
    {
        State().CopyFrom(source);
        Steps = steps;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, tensor) in State())
            tensor.Dispose();
    }

    private double Norm(Tensor[] tensors) =>
        _kernel == UpdateKernel.Shim
            ? Ops.GlobalNorm(tensors)
            : Ops.Stack(Ops.ForeachNorm(tensors, 2)).To(DType.Float64).Square().Sum().Sqrt().Item();

    private void StepFused(Tensor[] values, Tensor[] gradients, double rate)
    {
        // The operator takes the number of steps per parameter, as a tensor of the device.
        var steps = Ops.Full([], Steps, dtype: DType.Float32, device: values[0].Device);
        foreach (var (group, decay) in _groups.Where(static g => g.Parameters.Length > 0))
        {
            Tensor[] Of(Tensor[] all) => [.. group.Select(k => all[k])];
            Ops.FusedAdamwInPlace(
                Of(values),
                Of(gradients),
                Of(_first),
                Of(_second),
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

    private void StepByLists(Tensor[] values, Tensor[] gradients, double rate)
    {
        var bias1 = 1 - Math.Pow(_options.Beta1, Steps);
        var bias2 = 1 - Math.Pow(_options.Beta2, Steps);
        foreach (var (group, decay) in _groups.Where(static g => g.Decay != 0 && g.Parameters.Length > 0))
            Ops.ForeachMulInPlace([.. group.Select(k => values[k])], 1 - (rate * decay));
        Ops.ForeachMulInPlace(_first, _options.Beta1);
        Ops.ForeachAddInPlace(_first, gradients, 1 - _options.Beta1);
        Ops.ForeachMulInPlace(_second, _options.Beta2);
        Ops.ForeachAddcmulInPlace(_second, gradients, gradients, 1 - _options.Beta2);
        var roots = Ops.ForeachSqrt(_second);
        Ops.ForeachDivInPlace(roots, Math.Sqrt(bias2));
        Ops.ForeachAddInPlace(roots, _options.Epsilon);
        Ops.ForeachAddcdivInPlace(values, _first, roots, -rate / bias1);
    }
}
