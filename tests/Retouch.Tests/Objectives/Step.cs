using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

/// <summary>Inputs of one step for a straight flow (z_t = (1 − t)·z0 + t·ε, target ε − z0), in float64 and with gradient at the
/// prediction.</summary>
internal sealed class Step
{
    private readonly Tensor _clean;
    private readonly Tensor _noise;
    private readonly NoiseLevel _level;
    private readonly Tensor? _images;

    /// <param name="times">Timestep of each sample.</param>
    /// <param name="side">Side of the latents.</param>
    /// <param name="images">Whether the step has images, of four times the side.</param>
    /// <param name="outliers">Whether some latents are planted outliers.</param>
    /// <param name="error">Error of the prediction.</param>
    public Step(double[] times, long side = 6, bool images = false, bool outliers = false, double error = 0.5)
    {
        using var generator = Generator.Create(Device.Cpu, 7);
        long[] shape = [times.Length, 2, side, side];
        _clean = Ops.Randn(shape, generator, dtype: DType.Float64);
        _noise = Ops.Randn(shape, generator, dtype: DType.Float64);
        if (outliers)
        {
            var all = _clean.Span<double>();
            // In corners, whose features extend over less than the quantile of a map.
            for (var k = 0; k < times.Length; k++)
                all[(int)(2 * side * side) * k] = 40 - (90 * (k % 2));
        }

        var t = Tensor.From(times);
        _level = new NoiseLevel(t * 1000, 1 - t, t, t / (1 - t));
        _images = images ? Ops.Randn([times.Length, 3, 4 * side, 4 * side], generator, dtype: DType.Float64) : null;
        Prediction = (_noise - _clean + (error * Ops.Randn(shape, generator, dtype: DType.Float64))).Detach();
        Prediction.RequiresGrad = true;
    }

    public static Formulation Flow { get; } = new FlowFormulation();

    public Tensor Prediction { get; }

    public ObjectiveInputs Inputs()
    {
        var noisy = Flow.AddNoise(new Latent(_clean), _noise, _level);
        return new ObjectiveInputs(Flow, noisy, Flow.Read(noisy.Value, noisy.Level, new Prediction(Prediction)), _images);
    }

    /// <summary>A micro-batch of these samples, as in gradient accumulation.</summary>
    public ObjectiveInputs Part(int from, int count, StepPosition position)
    {
        NoiseLevel Levels(int start) =>
            new(
                _level.Timestep.Narrow(0, start, count),
                _level.A.Narrow(0, start, count),
                _level.B.Narrow(0, start, count),
                _level.Sigma.Narrow(0, start, count)
            );
        var whole = Inputs();
        Tensor Cut(Tensor x) => x.Narrow(0, from, count);
        var noisy = Flow.AddNoise(new Latent(Cut(_clean)), Cut(_noise), Levels(from));
        var prediction = new Prediction(Cut(whole.Estimate.Raw.Value));
        return new ObjectiveInputs(Flow, noisy, Flow.Read(noisy.Value, noisy.Level, prediction), _images is null ? null : Cut(_images))
        {
            Position = position,
            StepLevels = [.. Enumerable.Range(0, position.Of).Select(m => Levels(m * count))],
        };
    }

    /// <summary>Values of the terms and the gradient of the total at the prediction.</summary>
    public (double Total, double[] Gradient) Differentiate(ObjectiveSet set)
    {
        using var scope = TensorScope.Enter();
        var total = set.Evaluate(Inputs()).Total;
        return (total.Item(), Autograd.Grad([total], [Prediction])[0]!.ToArray<double>());
    }

    /// <summary>Asserts that the gradient of the total equals central differences, in every <paramref name="stride"/>-th
    /// direction.</summary>
    public void CheckGradient(ObjectiveSet set, int stride = 5)
    {
        var (_, gradient) = Differentiate(set);
        FiniteDifferences.Check(Prediction, gradient, () => set.Evaluate(Inputs()).Total.Item(), stride);
    }
}
