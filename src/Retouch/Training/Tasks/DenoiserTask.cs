using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Denoisers;
using Retouch.Diffusion;
using Retouch.Images;
using Retouch.Objectives;
using Retouch.Objectives.Preference;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Diagnostics;
using Retouch.Torch.Nn;
using Retouch.Training.Caching;
using Retouch.Training.Conditions;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Trains a denoiser on the latents of a frozen autoencoder: noise, predict, recover, weigh the objectives.</summary>
public sealed class DenoiserTask : ITrainingTask
{
    private const string WeightsState = "weights";
    private const string WatchState = "watch";
    private readonly LatentDiffusionPipeline _pipeline;
    private readonly Formulation _formulation;
    private readonly ObjectiveSet _objectives;
    private readonly IConditionSource _conditions;
    private readonly TrainingOptions _options;
    private readonly Device _device;
    private readonly DType _precision;
    private readonly DType _decoderPrecision;
    private readonly PhaseClock? _clock;
    private readonly PairedTraining? _pairs;
    private readonly AdapterTraining? _adapters;
    private readonly PairErrors? _errors;

    /// <param name="pipeline">Autoencoder, denoiser and formulation; disposed with this.</param>
    /// <param name="options">Validated options.</param>
    /// <param name="device">Where the networks are.</param>
    /// <param name="precision">What products compute in.</param>
    /// <param name="clock">Told the <see cref="StepPhases"/>; null where nobody asks.</param>
    /// <param name="reference">What DPO compares with, disposed with this; where null, the denoiser with its adapters off, or a frozen copy
    /// of it where there are none.</param>
    public DenoiserTask(
        LatentDiffusionPipeline pipeline,
        TrainingOptions options,
        Device device,
        DType precision,
        PhaseClock? clock = null,
        IReferencePredictor? reference = null
    )
    {
        _pipeline = pipeline;
        _options = options;
        _device = device;
        _precision = precision;
        _decoderPrecision = MixedPrecision.OfDecoder(precision, pipeline.Autoencoder.ForceUpcast);
        _clock = clock;
        pipeline.Autoencoder.Parameters.RequireGrad(false);
        pipeline.Denoiser.CheckpointActivations = options.Model.CheckpointActivations;
        _formulation = pipeline.CreateFormulation(options.Times.ToDensity(pipeline.DefaultDensity));
        DenoiserRules.Check(pipeline, options, _formulation);
        var (classes, prompts) = (pipeline.Denoiser.ClassCount, pipeline.Denoiser.TextWidth is not null);
        var precomputes = options.Objective!.Preference is { PrecomputesReference: true };
        var resolution = (double)options.Data.Size / pipeline.NativeSize;
        _objectives = new ObjectiveSet(options.Objective!, pipeline.Autoencoder, clock: clock, resolution: resolution);
        _adapters = options.Lora is null ? null : new AdapterTraining(pipeline, options, device);
        var dropout = options.Conditioning.Dropout;
        _conditions =
            prompts
                ? new PromptConditions(
                    pipeline,
                    dropout,
                    options.Samples.Prompts ?? [],
                    options.Data.Cache is { } cache ? Path.Combine(cache, "prompts") : null,
                    device
                )
            : classes is { } count ? new ClassConditions(count, dropout, device)
            : new NoConditions();
        if (options.Objective!.Preference is { } preference)
        {
            _pairs = new PairedTraining(preference, !preference.NeedsReference || precomputes ? null : reference ?? Live());
            _errors = precomputes ? new PairErrors(preference, pipeline.Autoencoder, options.Objective.DecodeBatch ?? 0, resolution) : null;
        }

        IReferencePredictor Live() =>
            _adapters is null
                ? new FrozenReference(pipeline.CopyDenoiser())
                : new AdaptersOffReference(pipeline.Denoiser, _adapters.Adapters);
    }

    /// <inheritdoc/>
    public ParameterStore Network => _adapters?.Adapters.Parameters ?? _pipeline.Denoiser.Parameters;

    /// <summary>What is trained where it is not the denoiser itself, and how large that is.</summary>
    internal (string Summary, long Frozen)? Adapted => _adapters is null ? null : (_adapters.Summary, Denoiser.Parameters.Count);

    /// <summary>Numbers of the autoencoder, which stay as they are.</summary>
    internal long FrozenCount => _pipeline.Autoencoder.Parameters.Count;

    /// <summary>Autoencoder, denoiser and formulation.</summary>
    internal LatentDiffusionPipeline Pipeline => _pipeline;

    /// <summary>Whether the reference's errors have to be given to <see cref="Reference"/> before the first step.</summary>
    internal bool PrecomputesReference => _errors is not null;

    /// <summary>The reference's errors in all steps; disposed with this.</summary>
    internal ReferenceErrors? Reference
    {
        get => _pairs?.Errors;
        set => _pairs!.Errors = value;
    }

    /// <summary>Whether the denoiser is told captions.</summary>
    internal bool TakesPrompts => Denoiser.TextWidth is not null;

    private IDenoiser Denoiser => _pipeline.Denoiser;

    /// <inheritdoc/>
    public void Check(IPictureSource source) => _conditions.Check(source);

    /// <inheritdoc/>
    public void Prepare(
        IReadOnlyList<IPictureSource> sources,
        Action<string> note,
        Action<int, int>? progress,
        CancellationToken cancellation
    ) => _conditions.Prepare(sources, note, progress, cancellation);

    /// <inheritdoc/>
    public StepLoss Evaluate(TrainingBatch batch, StepSeeds seeds)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var (noisy, condition) = Draw(batch, seeds);
        var position = new StepPosition(seeds.Step, seeds.Micro, _options.Batch.Accumulate);
        return Evaluate(
            noisy,
            condition,
            batch.Images,
            batch.Pairs,
            Reference?.Of(batch, seeds),
            position,
            Levels(batch.Count, batch.Pairs, noisy.Level, seeds)
        );
    }

    /// <summary>The errors of a batch's pairs as the network is now: called before training, those of its reference. In the open
    /// scope.</summary>
    internal IReadOnlyDictionary<PreferenceSpace, Tensor> ErrorsOf(TrainingBatch batch, StepSeeds seeds)
    {
        using var quiet = Autograd.NoGrad();
        using var off = _adapters?.Adapters.Off();
        var (noisy, condition) = Draw(batch, seeds);
        Prediction prediction;
        using (Autocast.Enter(_device, _precision))
            prediction = Denoiser.Predict(noisy.Value, noisy.Level.Model, condition);
        using var cast = Autocast.Enter(_device, _decoderPrecision);
        var estimate = _formulation.Recover(noisy, prediction);
        return _errors!.Of(
            new ObjectiveInputs(_formulation, noisy, prediction, estimate, batch.Images) { Pairs = new PairedSamples(batch.Pairs) }
        );
    }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, string>> Shown => _pairs?.Shown ?? [];

    /// <inheritdoc/>
    public bool IsSuspect => _pairs is { IsPast: true };

    /// <inheritdoc/>
    public StepReview? Review(IReadOnlyDictionary<string, double> figures)
    {
        var review = _pairs?.Review(figures);
        if (_objectives.TakeNotes() is not { Count: > 0 } notes)
            return review;
        string[] said = [.. notes, .. review?.Note is { } note ? new[] { note } : []];
        return new StepReview(review?.Figures ?? [], string.Join("; ", said), review?.Stop);
    }

    /// <summary>The loss of samples to which noise was added already.</summary>
    internal StepLoss Evaluate(
        NoisedLatent noisy,
        Condition condition,
        Tensor? images,
        int pairs = 0,
        IReadOnlyDictionary<PreferenceSpace, Tensor>? known = null,
        StepPosition? position = null,
        IReadOnlyList<NoiseLevel>? levels = null
    )
    {
        PairedSamples? paired = null;
        if (_pairs is not null && pairs > 0)
        {
            using (_clock?.Enter(StepPhases.Reference))
            using (Autocast.Enter(_device, _precision))
                paired = _pairs.Predict(_formulation, noisy, condition, pairs, known);
        }

        Prediction prediction;
        using (_clock?.Enter(StepPhases.Denoiser))
        using (Autocast.Enter(_device, _precision))
            prediction = Denoiser.Predict(noisy.Value, noisy.Level.Model, condition);
        using var phase = _clock?.Enter(StepPhases.Objectives);
        var estimate = _formulation.Recover(noisy, prediction);
        LossTerms terms;
        using (Autocast.Enter(_device, _decoderPrecision))
            terms = _objectives.Evaluate(
                new ObjectiveInputs(_formulation, noisy, prediction, estimate, images)
                {
                    Pairs = paired,
                    Position = position ?? new(0, 0, 1),
                    StepLevels = levels,
                }
            );
        return new StepLoss(
            terms.Total,
            [.. terms.Terms.Select(static t => new StepTerm(t.Name, t.Raw, t.Weighted))],
            terms.Figures,
            estimate.Residual.Detach().Square().Mean([1L, 2, 3]),
            noisy.Level.Model
        );
    }

    /// <inheritdoc/>
    public Picture SampleGrid(CancellationToken cancellation)
    {
        var o = _options.Samples;
        var request = new PipelineSampling
        {
            Seeds = PipelineSampling.SeedsFrom(o.Seed, o.Count),
            Steps = o.Steps,
            Guidance = new(o.Guidance ?? _pipeline.DefaultGuidance(_options.Data.Size, _options.Data.Size)),
            Width = _options.Data.Size,
            Height = _options.Data.Size,
        };
        using var scope = TensorScope.Enter();
        if (_conditions.Shown(o.Count, request.Height, request.Width) is var (conditions, unconditional))
            request = request with { Conditions = conditions, Unconditional = unconditional };
        return PictureGrid.Compose(PipelineSampler.Sample(_pipeline, request, _device, cancellation: cancellation));
    }

    /// <inheritdoc/>
    public void Save(string folder)
    {
        if (_adapters is null)
            _pipeline.Save(folder);
        else
            _adapters.Save(folder);
    }

    /// <inheritdoc/>
    public JsonNode? SaveState()
    {
        var weights = _objectives.State.Count == 0 ? null : JsonSerializer.SerializeToNode(_objectives.State);
        return _pairs is null ? weights : new JsonObject { [WeightsState] = weights, [WatchState] = _pairs.State };
    }

    /// <inheritdoc/>
    public void LoadState(JsonNode? state)
    {
        if (_pairs is not null)
        {
            _pairs.State = state?[WatchState];
            state = state?[WeightsState];
        }

        if (_objectives.State.Count > 0)
            _objectives.State =
                state.Deserialize<Dictionary<string, AutoWeightState>>()
                ?? throw new InputException("The checkpoint holds no automatic weights, but the objective has some.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _pairs?.Dispose();
        _conditions.Dispose();
        _adapters?.Dispose();
        _pipeline.Dispose();
    }

    private (NoisedLatent Noisy, Condition Condition) Draw(TrainingBatch batch, StepSeeds seeds)
    {
        var noisy = AddNoise(Encode(batch, seeds), seeds, batch.Pairs);
        var condition =
            batch.Pairs == 0
                ? _conditions.Of(batch, seeds)
                : PairedTraining.Spread(_conditions.Of(batch.WithoutLosers(), seeds), batch.Pairs, batch.Count - (2 * batch.Pairs));
        return (noisy, condition);
    }

    /// <summary>The noise levels of a micro-batch.</summary>
    private NoiseLevel LevelsOf(int samples, int pairs, StepSeeds seeds)
    {
        using var generator = seeds.For(RandomPurpose.Levels);
        var times = _formulation.SampleTimes(samples - pairs, generator);
        return _formulation.LevelsAt(pairs == 0 ? times : PairedTraining.Spread(times, pairs), _device);
    }

    /// <summary>The noise levels of all micro-batches of a step, which are drawn from its seeds and alike in size; null where there is only
    /// one.</summary>
    private NoiseLevel[]? Levels(int samples, int pairs, NoiseLevel own, StepSeeds seeds) =>
        _options.Batch.Accumulate == 1
            ? null
            :
            [
                .. Enumerable
                    .Range(0, _options.Batch.Accumulate)
                    .Select(m => m == seeds.Micro ? own : LevelsOf(samples, pairs, seeds with { Micro = m })),
            ];

    private NoisedLatent AddNoise(Latent latent, StepSeeds seeds, int pairs)
    {
        using var phase = _clock?.Enter(StepPhases.Noise);
        using var noiseGenerator = seeds.For(RandomPurpose.Noise);
        var level = LevelsOf((int)latent.Value.Shape[0], pairs, seeds);
        var noise = (
            pairs == 0
                ? Ops.Randn(latent.Value.Shape, noiseGenerator, dtype: DType.Float32)
                : _pairs!.Noise(latent.Value.Shape, pairs, noiseGenerator)
        ).To(_device);
        return _formulation.AddNoise(latent, noise, level);
    }

    private Latent Encode(TrainingBatch batch, StepSeeds seeds)
    {
        using var phase = _clock?.Enter(StepPhases.Encode);
        using var generator = seeds.For(RandomPurpose.Posterior);
        using var quiet = Autograd.NoGrad();
        if (batch.Pairs > 0)
        {
            using var again = seeds.For(RandomPurpose.Posterior);
            return _pairs!.Draw(
                _pipeline.Autoencoder,
                batch.Moments ?? _pipeline.Autoencoder.EncodeMoments(batch.Images!),
                batch.Pairs,
                generator,
                again
            );
        }

        return batch.Moments is { } moments
            ? _pipeline.Autoencoder.Draw(moments, generator)
            : _pipeline.Autoencoder.Encode(batch.Images!, generator);
    }
}
