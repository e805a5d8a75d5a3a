using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>
/// Gradients of a decoded term by windows, relative to that of whole pictures: means over samples. Expectations are over all positions of
/// the window, with their probabilities.
/// </summary>
/// <param name="Term">Term of the loss: lpl or pixel.</param>
/// <param name="Crop">Side of the window in pixels.</param>
/// <param name="Halo">Halo in pixels.</param>
/// <param name="Area">Area of a window over that of a picture.</param>
/// <param name="Decoded">Area of a window with its halo over that of a picture.</param>
/// <param name="Loss">Expected loss over that of whole pictures.</param>
/// <param name="Cosine">Cosine between the expected gradient and that of whole pictures.</param>
/// <param name="Norm">Norm of the expected gradient over that of whole pictures.</param>
/// <param name="WindowCosine">Expected cosine between the gradient of a single window and that of whole pictures.</param>
/// <param name="Variance">Expected squared distance of a single window's gradient from the expected gradient, over the squared norm of the
/// latter.</param>
/// <param name="EstimatedNorm">Root of the area times the expected squared norm of a single window's gradient, over the norm of whole
/// pictures: the estimate that measured weights use.</param>
public sealed record WindowFacts(
    string Term,
    int Crop,
    int Halo,
    double Area,
    double Decoded,
    double Loss,
    double Cosine,
    double Norm,
    double WindowCosine,
    double Variance,
    double EstimatedNorm
);

/// <summary>Compares gradients of decoded windows with those of whole pictures, at the estimate of the clean latent.</summary>
public sealed class WindowGradients
{
    private readonly IAutoencoder _autoencoder;
    private readonly Formulation _formulation;
    private readonly NoisedLatent _noisy;
    private readonly Tensor _estimate;

    private WindowGradients(IAutoencoder autoencoder, Formulation formulation, NoisedLatent noisy, Tensor estimate) =>
        (_autoencoder, _formulation, _noisy, _estimate) = (autoencoder, formulation, noisy, estimate);

    /// <summary>Measures all combinations of sizes.</summary>
    /// <param name="images">[pictures, 3, height, width] in [−1, 1].</param>
    /// <param name="autoencoder">Autoencoder on <paramref name="device"/>.</param>
    /// <param name="model">Denoiser and condition, for the estimate; without one it is a·z_t/(a² + b²), the best linear estimate of
    /// latents of unit variance from each latent pixel alone, in the noise schedule of Stable Diffusion.</param>
    /// <param name="time">Timestep in (0, 1).</param>
    /// <param name="crops">Sides of windows in pixels.</param>
    /// <param name="halos">Halos in pixels.</param>
    /// <param name="seed">Seed of the noise.</param>
    /// <param name="device">Device of the computation.</param>
    /// <param name="cancellation">Cancels between windows.</param>
    /// <exception cref="UsageException">A size does not fit the autoencoder or the pictures.</exception>
    public static IReadOnlyList<WindowFacts> Measure(
        Tensor images,
        IAutoencoder autoencoder,
        (LatentDiffusionPipeline Pipeline, Condition Condition)? model,
        double time,
        IReadOnlyList<int> crops,
        IReadOnlyList<int> halos,
        ulong seed,
        Device device,
        CancellationToken cancellation
    )
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(autoencoder);
        ArgumentNullException.ThrowIfNull(crops);
        ArgumentNullException.ThrowIfNull(halos);
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, seed);
        autoencoder.Parameters.RequireGrad(false);
        var formulation = model?.Pipeline.CreateFormulation() ?? new DdpmFormulation(NoiseSchedule.ScaledLinear());
        NoisedLatent noisy;
        Tensor estimate;
        using (Autograd.NoGrad())
        {
            var clean = autoencoder.Encode(images.To(device), generator: null);
            var noise = Ops.Randn(clean.Value.Shape, generator, dtype: DType.Float32).To(device);
            var level = formulation.LevelsAt([.. Enumerable.Repeat(formulation.TimeAt(time), (int)images.Shape[0])], device);
            noisy = formulation.AddNoise(clean, noise, level);
            var point = formulation.PointAt(formulation.TimeAt(time));
            estimate = model is var (pipeline, condition)
                ? pipeline.CreateModel().At(noisy.Value, level, condition.To(device)).Z0.Value
                : noisy.Value * (point.A / ((point.A * point.A) + (point.B * point.B)));
        }

        var gradients = new WindowGradients(autoencoder, formulation, noisy, estimate);
        var terms = new (string Name, ObjectiveOptions Options)[]
        {
            (
                "lpl",
                new()
                {
                    LatentWeight = 0,
                    Perceptual = new() { Weight = 1, Gate = GateKind.None },
                }
            ),
            (
                "pixel",
                new()
                {
                    LatentWeight = 0,
                    Pixel = new() { Weight = 1 },
                }
            ),
        };
        return
        [
            .. terms.SelectMany(term =>
            {
                var whole = gradients.Of(new ObjectiveSet(term.Options, autoencoder), null);
                return crops.SelectMany(crop =>
                    halos.Select(halo =>
                        gradients.Facts(term.Name, term.Options with { DecodeCrop = crop, DecodeHalo = halo }, whole, cancellation)
                    )
                );
            }),
        ];
    }

    private WindowFacts Facts(string term, ObjectiveOptions options, (double Loss, Tensor Gradient) whole, CancellationToken cancellation)
    {
        var set = new ObjectiveSet(options, _autoencoder);
        var crop = set.Crop!;
        var shape = _estimate.Shape;
        var (height, width, samples) = ((int)shape[2], (int)shape[3], (int)shape[0]);
        if (crop.Side > Math.Min(height, width))
            throw new UsageException(
                $"A window of {options.DecodeCrop} pixels is larger than the pictures, "
                    + $"{width * crop.Downsampling} x {height * crop.Downsampling}."
            );
        using var scope = TensorScope.Enter();
        var mean = Ops.ZerosLike(whole.Gradient);
        var (squares, cosines) = (Ops.Zeros([samples], dtype: DType.Float64), Ops.Zeros([samples], dtype: DType.Float64));
        double loss = 0;
        for (var top = 0; top <= height - crop.Side; top++)
        for (var left = 0; left <= width - crop.Side; left++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = TensorScope.Enter();
            var place = (top, left);
            var windows = new DecodeWindows(crop, height, width, [.. Enumerable.Repeat(place, samples)]);
            var (value, gradient) = Of(set, windows);
            var probability = crop.Probability(top, height) * crop.Probability(left, width);
            loss += probability * value;
            mean.AddInPlace(gradient * probability);
            squares.AddInPlace(gradient.Square().Sum([1L]) * probability);
            cosines.AddInPlace(Cosine(gradient, whole.Gradient) * probability);
        }

        var (norm, expected) = (whole.Gradient.Square().Sum([1L]), mean.Square().Sum([1L]));
        var share = new DecodeWindows(crop, height, width, []).Share;
        var region = crop.Side + (2 * crop.Halo);
        return new WindowFacts(
            term,
            crop.Side * crop.Downsampling,
            crop.Halo * crop.Downsampling,
            share,
            (double)Math.Min(region, height) * Math.Min(region, width) / (height * width),
            loss / whole.Loss,
            Cosine(mean, whole.Gradient).Mean().Item(),
            (expected / norm).Sqrt().Mean().Item(),
            cosines.Mean().Item(),
            ((squares - expected) / expected).Mean().Item(),
            (squares * share / norm).Sqrt().Mean().Item()
        );
    }

    /// <summary>Loss and gradient [samples, elements] in float64 on the CPU, in the current scope.</summary>
    private (double Loss, Tensor Gradient) Of(ObjectiveSet set, DecodeWindows? windows)
    {
        using var scope = TensorScope.Enter();
        using var recorded = Autograd.WithGrad();
        var leaf = _estimate.Detach();
        leaf.RequiresGrad = true;
        var inputs = new ObjectiveInputs(_formulation, _noisy, _formulation.FromEstimate(_noisy, new Latent(leaf))) { Windows = windows };
        var total = set.Evaluate(inputs).Total;
        var gradient = Autograd.Grad([total], [leaf])[0]!;
        return (total.Item(), scope.Keep(gradient.To(Device.Cpu).To(DType.Float64).Flatten(1)));
    }

    private static Tensor Cosine(Tensor a, Tensor b) =>
        (a * b).Sum([1L]) / ((a.Square().Sum([1L]) * b.Square().Sum([1L])).Sqrt() + double.Epsilon);
}
