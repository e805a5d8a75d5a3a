using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Objectives;
using Retouch.Objectives.Autoencoder;
using Retouch.Perception;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>
/// Training of a KL autoencoder, or of its decoder alone: reconstruction, KL divergence, and optional perceptual and adversarial terms.
/// </summary>
public sealed class AutoencoderTask : ITrainingTask
{
    private const ulong DiscriminatorPurpose = 0x646973637269;
    private const string LastLayer = "decoder.conv_out.weight";

    private readonly Component _component;
    private readonly KlAutoencoder _autoencoder;
    private readonly AutoencoderLoss _loss;
    private readonly IPerceptualDistance? _perceptual;
    private readonly double _share;
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
        var loss = options.AutoencoderLoss ?? new();
        if (loss.DecoderOnly)
            _autoencoder.Parameters.Freeze(static name => !FrozenParts.IsOfDecoder(name));
        _perceptual = loss.Perceptual?.Open(device);
        if (loss.Adversarial is { } adversarial)
        {
            using var generator = Generator.Create(Device.Cpu, SplitMix64.Derive(options.Seed, DiscriminatorPurpose));
            Adversary = new Adversary(adversarial, generator, device);
        }

        _loss = new AutoencoderLoss(loss, _perceptual, _autoencoder.Parameters.Find(LastLayer));
        _share = 1.0 / options.Batch.Accumulate;
        _measured = measured.Escape();
        // An explicit factor is kept; a new latent space is scaled to unit variance; for a finetuned one measuring is optional.
        _measureScaling = options.Model.MeasureScaling ?? (options.Model.Config is { } config && !config.ContainsKey("scaling_factor"));
        _device = device;
        _precision = precision;
    }

    /// <summary>The trained autoencoder.</summary>
    internal KlAutoencoder Autoencoder => _autoencoder;

    /// <inheritdoc/>
    public Adversary? Adversary { get; }

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
        var adversary = Adversary?.IsActive(seeds.Step) == true ? Adversary : null;
        var loss = _loss.Evaluate(images, decoded, posterior, adversary);
        var figures = new Dictionary<string, HealthFigure>(loss.Figures, StringComparer.Ordinal);
        if (adversary is not null)
        {
            var (value, real, made) = adversary.Observe(images, decoded, _share);
            figures["discriminator/loss"] = new(HealthKind.Ratio, value, 1);
            figures["discriminator/real"] = new(HealthKind.Ratio, real, 1);
            figures["discriminator/reconstructed"] = new(HealthKind.Ratio, made, 1);
        }

        return new StepLoss(loss with { Figures = figures }, (decoded - images).Detach().Abs().Mean([1L, 2, 3]), null);
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
        _perceptual?.Dispose();
        Adversary?.Dispose();
        _component.Dispose();
    }
}
