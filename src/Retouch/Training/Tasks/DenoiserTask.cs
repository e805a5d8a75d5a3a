using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.Preference;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Diagnostics;
using Retouch.Torch.Nn;
using Retouch.Training.Conditions;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Trains a denoiser on the latents of a frozen autoencoder: encode, add noise, denoise, weigh the objectives.</summary>
public sealed class DenoiserTask : ITrainingTask
{
    private readonly ObjectiveSet _objectives;
    private readonly AdapterTraining? _adapters;
    private readonly int _accumulate;

    /// <param name="pipeline">Autoencoder, denoiser and formulation; disposed with this.</param>
    /// <param name="options">Validated options.</param>
    /// <param name="device">Where the networks are.</param>
    /// <param name="precision">What products compute in.</param>
    /// <param name="clock">Told the <see cref="StepPhases"/>; null where nobody asks.</param>
    /// <exception cref="UsageException">The options do not go with the model.</exception>
    public DenoiserTask(LatentDiffusionPipeline pipeline, TrainingOptions options, Device device, DType precision, PhaseClock? clock = null)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        ArgumentNullException.ThrowIfNull(options);
        (Pipeline, Device, Precision, Clock) = (pipeline, device, precision, clock);
        DecoderPrecision = MixedPrecision.OfDecoder(precision, pipeline.Autoencoder.ForceUpcast);
        pipeline.Autoencoder.Parameters.RequireGrad(false);
        pipeline.Denoiser.CheckpointActivations = options.Model.CheckpointActivations;
        Model = pipeline.CreateModel(options.Times.ToDensity(pipeline.DefaultDensity));
        DenoiserRules.Check(pipeline, options, Formulation);
        Resolution = (double)options.Data.Size / pipeline.NativeSize;
        _objectives = new ObjectiveSet(options.Objective!, pipeline.Autoencoder, clock: clock, resolution: Resolution);
        _adapters = options.Lora is null ? null : new AdapterTraining(pipeline, options, device);
        _accumulate = options.Batch.Accumulate;
        Conditions = CreateConditions(pipeline, options, device);
    }

    /// <inheritdoc/>
    public ParameterStore Network => _adapters?.Adapters.Parameters ?? Pipeline.Denoiser.Parameters;

    /// <summary>What is trained where it is not the denoiser itself, and how large that is.</summary>
    internal (string Summary, long Frozen)? Adapted => _adapters is null ? null : (_adapters.Summary, Pipeline.Denoiser.Parameters.Count);

    /// <summary>The adapters that are trained; null where the denoiser itself is.</summary>
    internal LowRankAdapters? Adapters => _adapters?.Adapters;

    /// <summary>Numbers of the autoencoder, which stay as they are.</summary>
    internal long FrozenCount => Pipeline.Autoencoder.Parameters.Count;

    /// <summary>Autoencoder, denoiser and scheduler.</summary>
    internal LatentDiffusionPipeline Pipeline { get; }

    /// <summary>The denoiser that is trained.</summary>
    internal DenoiserModel Model { get; }

    /// <summary>How noise is mixed in.</summary>
    internal Formulation Formulation => Model.Formulation;

    /// <summary>What the denoiser is told; disposed with this.</summary>
    internal IConditionSource Conditions { get; }

    /// <summary>The training size over the model's own.</summary>
    internal double Resolution { get; }

    /// <summary>Where the networks are.</summary>
    internal Device Device { get; }

    /// <summary>What products compute in.</summary>
    internal DType Precision { get; }

    /// <summary>What the decoder's products compute in.</summary>
    internal DType DecoderPrecision { get; }

    /// <summary>Told the phases of a step.</summary>
    internal PhaseClock? Clock { get; }

    /// <summary>Whether the denoiser is told captions.</summary>
    internal bool TakesPrompts => Pipeline.Denoiser.TextWidth is not null;

    /// <inheritdoc/>
    public IPictureSource Accept(IPictureSource source, Action<string> note) => Conditions.Accept(source, note);

    /// <inheritdoc/>
    public void Prepare(
        IReadOnlyList<IPictureSource> sources,
        Action<string> note,
        Action<int, int>? progress,
        CancellationToken cancellation
    ) => Conditions.Prepare(sources, note, progress, cancellation);

    /// <inheritdoc/>
    public StepLoss Evaluate(TrainingBatch batch, StepSeeds seeds)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var noisy = AddNoise(Encode(batch, seeds), seeds);
        return Evaluate(noisy, Conditions.Of(batch, seeds), batch.Images, PlaceOf(noisy, seeds, s => LevelsOf(batch.Count, s)));
    }

    /// <inheritdoc/>
    public StepReview? Review(IReadOnlyDictionary<string, double> figures) =>
        _objectives.TakeNotes() is { Count: > 0 } notes ? new StepReview([], string.Join("; ", notes), null) : null;

    /// <summary>
    /// Where in the run a batch is, with the noise levels of all micro-batches of its step, which follow from their seeds.
    /// </summary>
    /// <param name="noisy">The batch.</param>
    /// <param name="seeds">Its seeds.</param>
    /// <param name="levels">The noise levels of another micro-batch, which is of the same size.</param>
    internal StepPlace PlaceOf(NoisedLatent noisy, StepSeeds seeds, Func<StepSeeds, NoiseLevel> levels) =>
        new(
            new StepPosition(seeds.Step, seeds.Micro, _accumulate),
            _accumulate == 1
                ? null
                : [.. Enumerable.Range(0, _accumulate).Select(m => m == seeds.Micro ? noisy.Level : levels(seeds with { Micro = m }))]
        );

    /// <summary>The loss of samples to which noise was added already.</summary>
    /// <param name="noisy">The samples.</param>
    /// <param name="condition">What the denoiser is told.</param>
    /// <param name="images">Their images, where an objective looks at images.</param>
    /// <param name="place">Where in the run they are; null for a step of one batch.</param>
    /// <param name="pairs">How they are made of pairs; null where all are single ones.</param>
    internal StepLoss Evaluate(
        NoisedLatent noisy,
        Condition condition,
        Tensor? images,
        StepPlace? place = null,
        PairedSamples? pairs = null
    )
    {
        Denoised denoised;
        using (Clock?.Enter(StepPhases.Denoiser))
        using (Autocast.Enter(Device, Precision))
            denoised = Model.At(noisy.Value, noisy.Level, condition);
        using var phase = Clock?.Enter(StepPhases.Objectives);
        var inputs = new ObjectiveInputs(Formulation, noisy, denoised, images)
        {
            Pairs = pairs,
            Position = place?.Position ?? new(0, 0, 1),
            StepLevels = place?.Levels,
        };
        LossTerms terms;
        using (Autocast.Enter(Device, DecoderPrecision))
            terms = _objectives.Evaluate(inputs);
        return new StepLoss(terms, inputs.Residual.Detach().Square().Mean([1L, 2, 3]), noisy.Level.Timestep);
    }

    /// <inheritdoc/>
    public void Save(string folder)
    {
        if (_adapters is null)
            Pipeline.Save(folder);
        else
            _adapters.Save(folder);
    }

    /// <inheritdoc/>
    public JsonNode? SaveState() => _objectives.State.Count == 0 ? null : JsonSerializer.SerializeToNode(_objectives.State);

    /// <inheritdoc/>
    public void LoadState(JsonNode? state)
    {
        if (_objectives.State.Count > 0)
            _objectives.State =
                state.Deserialize<Dictionary<string, AutoWeightState>>()
                ?? throw new InputException("The checkpoint holds no automatic weights, but the objective has some.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Conditions.Dispose();
        _adapters?.Dispose();
        Pipeline.Dispose();
    }

    private NoisedLatent AddNoise(Latent latent, StepSeeds seeds)
    {
        using var phase = Clock?.Enter(StepPhases.Noise);
        using var generator = seeds.For(RandomPurpose.Noise);
        var level = LevelsOf((int)latent.Value.Shape[0], seeds);
        var noise = Ops.Randn(latent.Value.Shape, generator, dtype: DType.Float32).To(Device);
        return Formulation.AddNoise(latent, noise, level);
    }

    private NoiseLevel LevelsOf(int samples, StepSeeds seeds)
    {
        using var generator = seeds.For(RandomPurpose.Levels);
        return Formulation.SampleLevels(samples, generator, Device);
    }

    private Latent Encode(TrainingBatch batch, StepSeeds seeds)
    {
        using var phase = Clock?.Enter(StepPhases.Encode);
        using var generator = seeds.For(RandomPurpose.Posterior);
        using var quiet = Autograd.NoGrad();
        return batch.Moments is { } moments
            ? Pipeline.Autoencoder.Draw(moments, generator)
            : Pipeline.Autoencoder.Encode(batch.Images!, generator);
    }

    private static IConditionSource CreateConditions(LatentDiffusionPipeline pipeline, TrainingOptions options, Device device)
    {
        var dropout = options.Conditioning.Dropout;
        if (pipeline.Denoiser.TextWidth is not null)
            return new PromptConditions(
                pipeline,
                dropout,
                options.Samples.Prompts ?? [],
                options.Data.Cache is { } cache ? Path.Combine(cache, "prompts") : null,
                device
            );
        return pipeline.Denoiser.ClassCount is { } count
            ? new ClassConditions(count, pipeline.Labels, dropout, device)
            : new NoConditions();
    }
}

/// <summary>Where in a run a batch is.</summary>
/// <param name="Position">Step and micro-batch.</param>
/// <param name="Levels">The noise levels of all micro-batches of the step; null where there is only one.</param>
internal sealed record StepPlace(StepPosition Position, IReadOnlyList<NoiseLevel>? Levels);
