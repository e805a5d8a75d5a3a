using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Objectives.Preference;
using Retouch.Torch;

namespace Retouch.Experiments.Probing;

/// <summary>
/// One term of the loss on given latents: value, contribution of each layer, health figures, and gradient with respect to the estimate.
/// Inputs are <c>in.z0</c> and <c>in.z0_hat</c> (raw, as for an autoencoder's <c>decode</c>), the noise level as <c>in.sigma</c>
/// (variance-preserving process) or <c>in.time</c> (rectified flow, 0 to 1), and, depending on the options, <c>in.noise</c>,
/// <c>in.images</c>, <c>in.window</c> and, for pairs, <c>in.z0_hat_reference</c>.
/// </summary>
/// <param name="autoencoder">Autoencoder whose decoder is used.</param>
/// <param name="tensors">Inputs.</param>
internal sealed class ObjectiveProbe(IAutoencoder autoencoder, ProbeTensors tensors)
{
    /// <summary>Evaluates a term with weight 1.</summary>
    /// <param name="options">Options of one term, without the diffusion loss.</param>
    /// <returns>
    /// <c>out.loss</c>; for the latent perceptual loss <c>out.per_layer</c> [layers, samples], including samples above the threshold;
    /// <c>out.figures.NAME</c>; <c>grad.z0_hat</c>.
    /// </returns>
    /// <exception cref="InputException">Inputs are missing or have unsuitable shapes.</exception>
    public List<KeyValuePair<string, Tensor>> Run(ObjectiveOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options = options with { Perceptual = options.Perceptual?.OfWholeEstimate() };
        using var recorded = Autograd.WithGrad();
        var clean = Scaled(tensors.Input("z0").To(DType.Float32));
        var leaf = tensors.Input("z0_hat").To(DType.Float32).Clone();
        if (leaf.Dim != 4 || !leaf.Shape.AsSpan().SequenceEqual(clean.Shape))
            throw new InputException(
                $"in.z0 is [{string.Join(", ", clean.Shape)}] and in.z0_hat [{string.Join(", ", leaf.Shape)}]; both are [samples, "
                    + "channels, height, width]."
            );
        leaf.RequiresGrad = true;
        var set = new ObjectiveSet(options, autoencoder);
        var inputs = InputsOf(options, clean, Scaled(leaf)) with { Windows = Windows(set.Crop, clean) };
        var terms = set.Evaluate(inputs);
        var gradient = Autograd.Grad([terms.Total], [leaf])[0] ?? Ops.ZerosLike(leaf);
        List<KeyValuePair<string, Tensor>> results = [new("out.loss", terms.Total.Detach())];
        if (options.Perceptual is { } perceptual)
            results.Add(new("out.per_layer", PerLayer(perceptual, inputs)));
        results.AddRange(terms.Health.Select(static h => KeyValuePair.Create($"out.figures.{h.Key}", Tensor.From([(float)h.Value]))));
        results.Add(new("grad.z0_hat", gradient));
        return results;
    }

    private Tensor PerLayer(LatentPerceptualOptions options, ObjectiveInputs inputs)
    {
        using var quiet = Autograd.NoGrad();
        using var scope = TensorScope.Enter();
        var objective = new LatentPerceptualObjective(options, autoencoder);
        var need = objective.Need(inputs);
        var request = new TapRequest(need.Taps, need.Rgb);
        var decoded = new DecodedSamples(
            DecodeWindows.Decode(autoencoder, inputs.EstimateOf(need), request, inputs.Windows),
            DecodeWindows.Decode(autoencoder, inputs.Noisy.Clean.Value, request, inputs.Windows),
            inputs.Images
        );
        return scope.Keep(Ops.Stack(objective.PerLayer(decoded, new HealthLog(scope))));
    }

    private ObjectiveInputs InputsOf(ObjectiveOptions options, Tensor clean, Tensor estimate)
    {
        var (formulation, level) = Level(
            clean,
            new[] { options.Perceptual, options.Preference?.Features }.OfType<LatentPerceptualOptions>().Select(static o => o.Gate)
        );
        // The latent perceptual loss is independent of the noise; other terms derive ε̂ from ẑ0.
        var noise = options.Perceptual is null || tensors.Has("noise") ? tensors.Input("noise").To(DType.Float32) : Ops.ZerosLike(clean);
        if (!noise.Shape.AsSpan().SequenceEqual(clean.Shape))
            throw new InputException($"in.noise is [{string.Join(", ", noise.Shape)}], in.z0 [{string.Join(", ", clean.Shape)}].");
        var noisy = formulation.AddNoise(new Latent(clean), noise, level);
        var images = tensors.Has("images") ? tensors.Input("images").To(DType.Float32) : null;
        return new(formulation, noisy, formulation.FromEstimate(noisy, new Latent(estimate)), images)
        {
            Pairs = Pairs(options, formulation, noisy),
        };
    }

    private DecodeWindows? Windows(DecodeCrop? crop, Tensor clean)
    {
        const string Name = "window";
        if (crop is null)
            return !tensors.Has(Name) ? null : throw new InputException("in.window has no effect without objective.decodeCrop.");
        if (!tensors.Has(Name))
            throw new InputException("objective.decodeCrop needs in.window: the first row and column of each sample's window, in pixels.");
        var places = tensors.Input(Name).To(Device.Cpu).To(DType.Int64);
        var (samples, height, width) = ((int)clean.Shape[0], (int)clean.Shape[2], (int)clean.Shape[3]);
        if (!places.Shape.SequenceEqual([(long)samples, 2]))
            throw new InputException(
                $"in.window is [{string.Join(", ", places.Shape)}], not [{samples}, 2]: a row and a column per sample."
            );
        var pixels = places.ToArray<long>();
        long Most(int k) => (k % 2 == 0 ? height : width) - crop.Side;
        for (var k = 0; k < pixels.Length; k++)
        {
            if (pixels[k] % crop.Downsampling != 0 || pixels[k] < 0 || pixels[k] / crop.Downsampling > Most(k))
                throw new InputException(
                    $"in.window [{k / 2}, {k % 2}] is {pixels[k]}; it must be a multiple of {crop.Downsampling} from 0 to "
                        + $"{Most(k) * crop.Downsampling}."
                );
        }

        int At(int k) => (int)(pixels[k] / crop.Downsampling);
        return new DecodeWindows(crop, height, width, [.. Enumerable.Range(0, samples).Select(k => (At(2 * k), At((2 * k) + 1)))]);
    }

    private PairedSamples? Pairs(ObjectiveOptions options, Formulation formulation, NoisedLatent noisy)
    {
        if (options.Preference is not { } preference)
            return null;
        if (noisy.Level.Batch % 2 != 0)
            throw new InputException(
                $"For pairs, the first half are winners and the second half losers; in.z0 has {noisy.Level.Batch} samples."
            );
        var pairs = new PairedSamples(noisy.Level.Batch / 2);
        if (!preference.NeedsReference)
            return pairs;
        using var quiet = Autograd.NoGrad();
        var reference = new Latent(Scaled(tensors.Input("z0_hat_reference").To(DType.Float32)));
        return pairs with { Reference = formulation.FromEstimate(noisy, reference) };
    }

    private (Formulation, NoiseLevel) Level(Tensor clean, IEnumerable<GateKind> gates)
    {
        if (tensors.Has("sigma") == tensors.Has("time"))
            throw new InputException("Give the noise level either as in.sigma (noise-to-signal ratio) or as in.time (of a flow, 0 to 1).");
        var isFlow = tensors.Has("time");
        if (!isFlow && gates.Any(static g => g is GateKind.Timestep or GateKind.T))
            throw new InputException("A threshold on time needs in.time.");
        var values = tensors.Input(isFlow ? "time" : "sigma").To(DType.Float64).To(Device.Cpu).Flatten().ToArray<double>();
        if (values.Length != clean.Shape[0] || !Array.TrueForAll(values, v => double.IsFinite(v) && v > 0 && (!isFlow || v < 1)))
            throw new InputException(
                $"{(isFlow ? "in.time" : "in.sigma")} is one number a sample ({clean.Shape[0]}), "
                    + $"{(isFlow ? "between 0 and 1" : "above 0")}; it is [{string.Join(", ", values.Take(8))}]."
            );
        if (isFlow)
        {
            var flow = new FlowFormulation();
            return (flow, flow.LevelsAt([.. values.Select(t => t * flow.TrainSteps)], clean.Device));
        }

        var ddpm = new DdpmFormulation(NoiseSchedule.ScaledLinear());
        return (ddpm, NoiseLevel.Of([.. values.Select(ddpm.PointOfSigma)], ddpm.TrainSteps, clean.Device));
    }

    private Tensor Scaled(Tensor raw) =>
        autoencoder switch
        {
            KlAutoencoder kl => kl.Scale(raw),
            AutoencoderTiny tiny => tiny.Scale(raw),
            _ => throw new InputException($"Objectives cannot be probed through {autoencoder.GetType().Name}."),
        };
}
