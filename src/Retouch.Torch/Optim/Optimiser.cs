using Retouch.Torch.Nn;

namespace Retouch.Torch.Optim;

/// <summary>
/// An optimiser: gradient norm, update, weight averages, and a state that continues a run bit by bit. Weights are float32 (or float64)
/// and updated in place; weights in bfloat16 have no float32 copy and are rounded stochastically (<see cref="StochasticRounding"/>), a
/// portion of the parameters at a time.
/// </summary>
public abstract class Optimiser : IDisposable
{
    /// <summary>Elements whose temporary tensors exist at the same time; one tensor can be larger.</summary>
    private const long Portion = 1 << 24;

    // Weyl sequence of the golden ratio: seeds of a step's parameters that differ in all bits.
    private const ulong BetweenParameters = 0x9E3779B97F4A7C15;

    private readonly Func<long, ulong> _roundingSeeds;
    private Generator? _rounding;

    /// <param name="parameters">Trained parameters; each must have a value.</param>
    /// <param name="roundingSeeds">Seed of the stochastic rounding of a step, from its number; null for weights that are not rounded.
    /// </param>
    private protected Optimiser(IEnumerable<Parameter> parameters, Func<long, ulong>? roundingSeeds)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        Parameters = [.. parameters];
        _roundingSeeds = roundingSeeds ?? (static step => (ulong)step);
        HasNarrow = Parameters.Any(static p => StochasticRounding.IsNarrow(p.Value));
    }

    /// <summary>Number of updates.</summary>
    public long Steps { get; private set; }

    /// <summary>Memory of the state in bytes.</summary>
    public long StateBytes => State().Sum(static t => t.Value.Count * t.Value.DType.Size());

    /// <summary>Values of the optimiser to log, such as an estimated step size; as of the last update.</summary>
    public virtual IReadOnlyList<KeyValuePair<string, double>> Figures => [];

    /// <summary>
    /// Share of this process, if the optimiser was created with <see cref="ParameterShare.Own"/>; null for all parameters. Weights that
    /// other processes have updated arrive with <see cref="ParameterShare.Exchange"/>.
    /// </summary>
    public ParameterShare? Share { get; init; }

    /// <summary>Parameters that are updated.</summary>
    private protected IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Trained parameters of the network.</summary>
    private IReadOnlyList<Parameter> Whole => Share?.All ?? Parameters;

    /// <summary>Whether weights are rounded.</summary>
    private protected bool HasNarrow { get; }

    /// <summary>Elements of the parameters that are updated at once.</summary>
    private protected virtual long PortionElements => Portion;

    /// <summary>Global L2 norm of the gradients of all trained parameters, summed in float64; missing gradients count as zero.</summary>
    public double GradientNorm()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        if (Share is not { DividesGradients: true } share)
            return Norm([.. Whole.Select(static p => p.Value.Grad).OfType<Tensor>()]);
        // Every process adds the squares of all parameters in one order.
        Tensor[] norms = [.. Gradients().Select(static g => g.LinalgVectorNorm(2, [], false, DType.Float64))];
        var own = norms is [] ? Ops.Zeros([0], dtype: DType.Float64, device: Whole[0].Value.Device) : Ops.Stack(norms);
        return share.Join(own.Square().View([1L, -1])).Sum().Sqrt().Item();
    }

    /// <summary>Whether all weights and states are finite; of a share, those of its parameters.</summary>
    public bool IsFinite()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var weights = Parameters.Select(static p => p.Value.Detach()).ToArray();
        var states = State().Select(static t => t.Value).Where(t => t.DType.IsFloatingPoint() && t.Device == weights[0].Device);
        return weights.Length == 0 || double.IsFinite(Norm([.. weights, .. states]));
    }

    /// <summary>Performs an update from the accumulated gradients and updates the averages. May change the gradients.</summary>
    /// <param name="learningRate">Current learning rate.</param>
    /// <param name="gradientScale">Multiplies every gradient, for clipping or averaging over accumulated batches.</param>
    /// <param name="averages">Averages of the same parameters.</param>
    public void Step(double learningRate, double gradientScale, IReadOnlyList<WeightAverage> averages)
    {
        ArgumentNullException.ThrowIfNull(averages);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        Steps++;
        Begin(learningRate);
        var decays = averages.Select(static a => a.NextDecay()).ToArray();
        if (!UpdateWith(averages, decays, learningRate, gradientScale))
        {
            foreach (var part in Portions())
                Update(part, learningRate, gradientScale, averages, decays);
        }

        End();
    }

    /// <summary>Clears all gradients.</summary>
    public void ZeroGrad()
    {
        foreach (var parameter in Whole)
            parameter.Value.Grad = null;
    }

    /// <summary>State tensors by key, for checkpoints. They stay owned by the optimiser.</summary>
    public abstract IEnumerable<KeyValuePair<string, Tensor>> State();

    /// <summary>Restores the state from a checkpoint.</summary>
    /// <param name="source">Tensors with the keys of <see cref="State"/>.</param>
    /// <param name="steps">Number of steps at the checkpoint.</param>
    public virtual void LoadState(ITensorSource source, long steps)
    {
        State().CopyFrom(source);
        Steps = steps;
    }

    /// <summary>
    /// Puts the weights that the optimiser's method evaluates into the network until the result is disposed; null if these are the
    /// trained ones.
    /// </summary>
    public virtual IDisposable? Evaluate() => null;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, tensor) in State())
            tensor.Dispose();
        Free();
        _rounding?.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what is not part of the state.</summary>
    private protected virtual void Free() { }

    /// <summary>Called before the parameters are updated.</summary>
    /// <param name="rate">Current learning rate.</param>
    private protected virtual void Begin(double rate) { }

    /// <summary>Updates a portion of the parameters.</summary>
    /// <param name="indices">Their indices.</param>
    /// <param name="values">Their values, in float32 or float64, to be changed in place.</param>
    /// <param name="gradients">Their scaled gradients, contiguous, of the same types; they can be overwritten.</param>
    /// <param name="rate">Current learning rate.</param>
    private protected abstract void Update(int[] indices, Tensor[] values, Tensor[] gradients, double rate);

    /// <summary>Updates all parameters and averages in one pass, if there is such a kernel.</summary>
    /// <returns>Whether it did.</returns>
    private protected virtual bool UpdateWith(IReadOnlyList<WeightAverage> averages, double[] decays, double rate, double scale) => false;

    /// <summary>Called after all parameters are updated.</summary>
    private protected virtual void End() { }

    /// <summary>Values that averages follow.</summary>
    /// <param name="indices">Indices of the parameters.</param>
    /// <param name="values">Their updated values.</param>
    private protected virtual Tensor[] Averaged(int[] indices, Tensor[] values) => values;

    /// <summary>Gradients, contiguous. Missing ones are zero, as in PyTorch after zero_grad(set_to_none=False).</summary>
    private protected Tensor[] Gradients() => [.. Enumerable.Range(0, Parameters.Count).Select(GradientOf)];

    /// <summary>Zeros in the shape of a parameter, in the type of its updates.</summary>
    private protected static Tensor Zeros(Parameter parameter) => Zeros(parameter, parameter.Shape);

    /// <summary>Zeros on the device of a parameter, in the type of its updates.</summary>
    private protected static Tensor Zeros(Parameter parameter, long[] shape) =>
        Ops.Zeros(shape, dtype: StochasticRounding.WideType(parameter.Value), device: parameter.Value.Device).Escape();

    /// <summary>Members of a list at indices.</summary>
    private protected static Tensor[] Of(int[] indices, IReadOnlyList<Tensor> all) => Array.ConvertAll(indices, k => all[k]);

    private Tensor GradientOf(int k) => (Parameters[k].Value.Grad ?? Parameters[k].Value.ZerosLike()).Contiguous();

    private void Update(int[] part, double rate, double scale, IReadOnlyList<WeightAverage> averages, double[] decays)
    {
        using var scope = TensorScope.Enter();
        Tensor[] stored = [.. part.Select(k => Parameters[k].Value)];
        var values = Array.ConvertAll(stored, StochasticRounding.Widen);
        Tensor[] gradients = [.. part.Select(k => StochasticRounding.Widen(GradientOf(k)))];
        if (scale != 1)
            Ops.ForeachMulInPlace(gradients, scale);
        Update(part, values, gradients, rate);
        for (var k = 0; k < part.Length; k++)
        {
            if (!ReferenceEquals(stored[k], values[k]))
                StochasticRounding.Store(values[k], stored[k], Rounding(part[k], stored[k].Device));
        }

        if (averages.Count == 0)
            return;
        var followed = Averaged(part, stored);
        for (var a = 0; a < averages.Count; a++)
            averages[a].Follow(part, followed, decays[a]);
    }

    /// <summary>Random numbers that belong to a parameter and the step, whichever process updates it.</summary>
    private Generator Rounding(int index, Device device)
    {
        var place = (ulong)(Share is null ? index : Share.Places[index]);
        var seed = unchecked(_roundingSeeds(Steps) + (place * BetweenParameters));
        if (_rounding is null)
            _rounding = Generator.Create(device, seed);
        else
            _rounding.Reseed(seed);
        return _rounding;
    }

    private IEnumerable<int[]> Portions()
    {
        List<int> part = [];
        long elements = 0;
        for (var k = 0; k < Parameters.Count; k++)
        {
            var count = Parameters[k].Count;
            if (part.Count > 0 && elements + count > PortionElements)
            {
                yield return [.. part];
                part.Clear();
                elements = 0;
            }

            part.Add(k);
            elements += count;
        }

        if (part.Count > 0)
            yield return [.. part];
    }

    private static double Norm(Tensor[] tensors)
    {
        if (tensors.Length == 0)
            return 0;
        tensors = Array.ConvertAll(tensors, static t => t.Contiguous());
        var narrow = Array.Exists(tensors, StochasticRounding.IsNarrow);
        if (!narrow && Array.TrueForAll(tensors, static t => t.Device.Type == DeviceType.Cpu))
            return Ops.GlobalNorm(tensors);
        var norms = narrow
            ? Array.ConvertAll(tensors, static t => t.LinalgVectorNorm(2, [], false, StochasticRounding.WideType(t)))
            : Ops.ForeachNorm(tensors, 2);
        return Ops.Stack(norms).To(DType.Float64).Square().Sum().Sqrt().Item();
    }
}
