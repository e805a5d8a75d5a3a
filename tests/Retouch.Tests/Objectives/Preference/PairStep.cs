using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Tests.Objectives.Preference;

/// <summary>Inputs of one step on pairs, in float64 and with gradient at the prediction: winners, losers, then single samples.</summary>
internal sealed class PairStep
{
    private readonly Tensor _clean;
    private readonly Tensor _noise;
    private readonly NoiseLevel _level;
    private readonly Tensor _reference;
    private readonly Formulation _formulation;
    private readonly int _pairs;

    /// <param name="formulation">epsilon, v or flow.</param>
    /// <param name="times">Timestep of each pair, in (0, 1).</param>
    /// <param name="single">Timestep of each single sample.</param>
    /// <param name="error">Error of the prediction.</param>
    /// <param name="referenceError">Error of the reference model; null if it is the network itself.</param>
    /// <param name="side">Side of the latents.</param>
    public PairStep(
        string formulation,
        double[] times,
        double[]? single = null,
        double error = 0.5,
        double? referenceError = 0.4,
        long side = 6
    )
    {
        using var generator = Generator.Create(Device.Cpu, 17);
        _formulation = Of(formulation);
        _pairs = times.Length;
        double[] all = [.. times, .. times, .. single ?? []];
        long[] shape = [all.Length, 2, side, side];
        _clean = Ops.Randn(shape, generator, dtype: DType.Float64);
        var noise = Ops.Randn([_pairs, 2, side, side], generator, dtype: DType.Float64);
        _noise = Ops.Cat([noise, noise, Ops.Randn([all.Length - (2 * _pairs), 2, side, side], generator, dtype: DType.Float64)], 0);
        var t = Tensor.From(all);
        var (a, b) = formulation == "flow" ? (1 - t, t) : ((1 - t.Square()).Sqrt(), t);
        _level = new NoiseLevel(t * 1000, a, b, b / a);
        var noisy = Noisy();
        Prediction = (_formulation.Target(noisy) + (error * Ops.Randn(shape, generator, dtype: DType.Float64))).Detach();
        Prediction.RequiresGrad = true;
        _reference = referenceError is { } r
            ? (_formulation.Target(noisy) + (r * Ops.Randn(shape, generator, dtype: DType.Float64))).Detach()
            : Prediction.Detach().Clone();
        Images = Ops.Randn([all.Length, 3, 4 * side, 4 * side], generator, dtype: DType.Float64);
    }

    public Tensor Prediction { get; }

    public Tensor Images { get; }

    public NoisedLatent Noisy() => _formulation.AddNoise(new Latent(_clean), _noise, _level);

    public ObjectiveInputs Inputs(IReadOnlyDictionary<PreferenceSpace, Tensor>? errors = null, bool reference = true)
    {
        var noisy = Noisy();
        Denoised Read(Tensor prediction) => _formulation.Read(noisy.Value, noisy.Level, new Prediction(prediction));
        var pairs = new PairedSamples(_pairs) { Reference = reference ? Read(_reference) : null, ReferenceErrors = errors };
        return new ObjectiveInputs(_formulation, noisy, Read(Prediction), Images) { Pairs = pairs };
    }

    public (double Total, double[] Gradient) Differentiate(ObjectiveSet set, ObjectiveInputs? inputs = null)
    {
        using var scope = TensorScope.Enter();
        var total = set.Evaluate(inputs ?? Inputs()).Total;
        return (total.Item(), Autograd.Grad([total], [Prediction])[0]!.ToArray<double>());
    }

    /// <summary>
    /// Asserts that the gradient of the total equals central differences, in every <paramref name="stride"/>-th direction.
    /// </summary>
    public void CheckGradient(ObjectiveSet set, int stride)
    {
        var (_, gradient) = Differentiate(set);
        FiniteDifferences.Check(Prediction, gradient, () => set.Evaluate(Inputs()).Total.Item(), stride);
    }

    private static Formulation Of(string name) =>
        name switch
        {
            "flow" => new FlowFormulation(),
            "v" => new DdpmFormulation(NoiseSchedule.Create(BetaSchedule.ScaledLinear, 0.00085, 0.012, 1000), PredictionType.VPrediction),
            _ => new DdpmFormulation(NoiseSchedule.Create(BetaSchedule.ScaledLinear, 0.00085, 0.012, 1000)),
        };
}
