using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Objectives;
using Retouch.Objectives.Autoencoder;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Training of a KL autoencoder: reconstruction, KL divergence, and an optional perceptual term.</summary>
public sealed class AutoencoderTask : ITrainingTask
{
    private readonly Component _component;
    private readonly KlAutoencoder _autoencoder;
    private readonly AutoencoderLoss _loss;
    private readonly Tensor _measured;
    private readonly bool _measureScaling;
    private readonly Device _device;
    private readonly DType _precision;

    /// <param name="component">A <see cref="KlAutoencoder"/>; disposed with this object.</param>
    /// <param name="options">Validated options.</param>
    /// <param name="measured">Pictures [n, 3, height, width] in [−1, 1] for measuring the scaling factor. Owned by this object.</param>
    /// <param name="device">Device of the network.</param>
    /// <param name="precision">Compute type.</param>
    public AutoencoderTask(Component component, TrainingOptions options, Tensor measured, Device device, DType precision)
    {
        if (precision == DType.Float16 && ((KlAutoencoder)component.Network).ForceUpcast)
            throw new UsageException(
                "This autoencoder overflows in float16 (force_upcast in its config.json; true by default). Train it in "
                    + "bfloat16 or float32 (--precision)."
            );
        _component = component;
        _autoencoder = (KlAutoencoder)component.Network;
        _loss = new AutoencoderLoss(options.AutoencoderLoss ?? new());
        _measured = measured.Escape();
        // An explicit factor is kept; a new latent space is scaled to unit variance; for a finetuned one measuring is optional.
        _measureScaling = options.Model.MeasureScaling ?? (options.Model.Config is { } config && !config.ContainsKey("scaling_factor"));
        _device = device;
        _precision = precision;
    }

    /// <summary>The trained autoencoder.</summary>
    internal KlAutoencoder Autoencoder => _autoencoder;

    /// <inheritdoc/>
    public ParameterStore Network => _autoencoder.Parameters;

    /// <inheritdoc/>
    public IPictureSource Accept(IPictureSource source, Action<string> note) => source;

    /// <inheritdoc/>
    public void Prepare(
        IReadOnlyList<IPictureSource> sources,
        Action<string> note,
        Action<int, int>? progress,
        CancellationToken cancellation
    ) { }

    /// <inheritdoc/>
    public StepLoss Evaluate(TrainingBatch batch, StepSeeds seeds)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var images = batch.Images!;
        using var generator = seeds.For(RandomPurpose.Posterior);
        var (posterior, decoded) = Reconstruct(images, shape => Ops.Randn(shape, generator, dtype: DType.Float32));
        return new StepLoss(_loss.Evaluate(images, decoded, posterior), (decoded - images).Detach().Abs().Mean([1L, 2, 3]), null);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Terms => _loss.Names;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, HealthFigure> Validate(TrainingBatch batch, HeldOutDraws draws)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(draws);
        using var quiet = Autograd.NoGrad();
        var images = batch.Images!;
        var (posterior, decoded) = Reconstruct(images, shape => draws.Noise(shape, RandomPurpose.Posterior));
        return _loss
            .Evaluate(images, decoded, posterior)
            .Terms.ToDictionary(
                static t => t.Name,
                t => new HealthFigure(HealthKind.Ratio, t.Raw * batch.Count, batch.Count),
                StringComparer.Ordinal
            );
    }

    private (Posterior Posterior, Tensor Decoded) Reconstruct(Tensor images, Func<long[], Tensor> noise)
    {
        using var cast = Autocast.Enter(_device, _precision);
        var posterior = _autoencoder.EncodePosterior(images);
        var drawn = noise(posterior.Mean.Shape).To(_device);
        return (posterior, _autoencoder.Decode(new Latent(_autoencoder.Scale(posterior.Sample(drawn)))));
    }

    /// <inheritdoc/>
    public void Save(string folder)
    {
        if (_measureScaling)
            _autoencoder.SetScalingFactor(1 / LatentDeviation());
        ComponentFolder.Save(folder, _component);
    }

    /// <inheritdoc/>
    public JsonNode? SaveState() => null;

    /// <inheritdoc/>
    public void LoadState(JsonNode? state)
    {
        // The loss has no state.
    }

    private double LatentDeviation()
    {
        const int Chunk = 16;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var means = Enumerable
            .Range(0, (int)((_measured.Shape[0] + Chunk - 1) / Chunk))
            .Select(k =>
            {
                using var inner = TensorScope.Enter();
                var part = _measured.Narrow(0, k * Chunk, Math.Min(Chunk, _measured.Shape[0] - (k * Chunk)));
                return inner.Keep(_autoencoder.EncodePosterior(part.To(_device)).Mean);
            });
        return Ops.Cat([.. means], 0).To(DType.Float64).Std([0L, 1, 2, 3], 1).Item();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _measured.Dispose();
        _component.Dispose();
    }
}
