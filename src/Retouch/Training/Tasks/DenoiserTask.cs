using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Core.Json;
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
using Retouch.Training.Distributed;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>Training of a denoiser on latents of a frozen autoencoder: encode, add noise, denoise, evaluate objectives.</summary>
public sealed class DenoiserTask : ITrainingTask
{
    private readonly Func<ObjectiveOptions, ObjectiveSet> _createObjectives;
    private ObjectiveSet _objectives;
    private readonly AdapterTraining? _adapters;
    private readonly TrainingOptions _options;
    private readonly int _processes;

    /// <param name="pipeline">Autoencoder, denoiser and formulation; disposed with this object.</param>
    /// <param name="options">Validated options.</param>
    /// <param name="device">Device of the networks.</param>
    /// <param name="precision">Compute type.</param>
    /// <param name="clock">Receives the <see cref="StepPhases"/>, or null.</param>
    /// <exception cref="UsageException">The options do not fit the model.</exception>
    /// <param name="conditions">Conditions of the samples, disposed with this object; null for those of the data.</param>
    /// <param name="world">Processes that train together; null for a single one.</param>
    public DenoiserTask(
        LatentDiffusionPipeline pipeline,
        TrainingOptions options,
        Device device,
        DType precision,
        PhaseClock? clock = null,
        IConditionSource? conditions = null,
        World? world = null
    )
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        ArgumentNullException.ThrowIfNull(options);
        (Pipeline, Device, Precision, Clock) = (pipeline, device, precision, clock);
        DecoderPrecision = Autoencoders.DecoderPrecision.Of(precision, pipeline.Autoencoder.ForceUpcast);
        pipeline.Autoencoder.Parameters.RequireGrad(false);
        pipeline.Denoiser.CheckpointActivations = options.Model.CheckpointActivations;
        Model = pipeline.CreateModel(options.Times.ToDensity(pipeline.DefaultDensity));
        DenoiserRules.Check(pipeline, options, Formulation, encodes: conditions is null);
        Resolution = (double)options.Data.Side / pipeline.NativeSize;
        _createObjectives = objective => new ObjectiveSet(
            objective,
            pipeline.Autoencoder,
            // Sums instead of averages: the saved state of a measured weight is then independent of the number of processes.
            average: world is null ? null : value => world.Sum("measure the weights", value),
            clock: clock,
            resolution: Resolution,
            prior: options.Data.Prior?.Weight
        );
        _objectives = _createObjectives(options.Objective!);
        _adapters = options.Lora is null ? null : new AdapterTraining(pipeline, options, device);
        (_options, _processes) = (options, world?.Size ?? 1);
        Conditions = conditions ?? CreateConditions(pipeline, options, device);
    }

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<Parameter>> Blocks => Pipeline.Denoiser.Parameters.Blocks;

    /// <inheritdoc/>
    public ParameterStore Network => _adapters?.Adapters.Parameters ?? Pipeline.Denoiser.Parameters;

    /// <summary>Description of the trained adapters and number of frozen parameters; null without adapters.</summary>
    internal (string Summary, long Frozen)? Adapted => _adapters is null ? null : (_adapters.Summary, Pipeline.Denoiser.Parameters.Count);

    /// <summary>Trained adapters, or null.</summary>
    internal LowRankAdapters? Adapters => _adapters?.Adapters;

    /// <summary>Autoencoder, denoiser and scheduler.</summary>
    internal LatentDiffusionPipeline Pipeline { get; }

    /// <summary>The trained denoiser.</summary>
    internal DenoiserModel Model { get; }

    /// <summary>The diffusion formulation.</summary>
    internal Formulation Formulation => Model.Formulation;

    /// <summary>Conditions of samples; disposed with this object.</summary>
    internal IConditionSource Conditions { get; }

    /// <summary>Training size over the model's native size.</summary>
    internal double Resolution { get; }

    /// <summary>Device of the networks.</summary>
    internal Device Device { get; }

    /// <summary>Compute type.</summary>
    internal DType Precision { get; }

    /// <summary>Compute type of the decoder.</summary>
    internal DType DecoderPrecision { get; }

    /// <summary>Receives the phases of a step, or null.</summary>
    internal PhaseClock? Clock { get; }

    /// <summary>Whether the denoiser is text-conditional.</summary>
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
        var place = PlaceOf(noisy, seeds, s => LevelsOf(batch.Count, s));
        return Evaluate(
            noisy,
            Conditions.Of(batch, seeds),
            batch.Images,
            place,
            mask: MaskOf(batch),
            prior: batch.Prior,
            windows: WindowsOf(noisy, seeds)
        );
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Terms => _objectives.Names;

    /// <inheritdoc/>
    public int? TrainSteps => Formulation.TrainSteps;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, HealthFigure> Validate(TrainingBatch batch, HeldOutDraws draws)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(draws);
        using var quiet = Autograd.NoGrad();
        var autoencoder = Pipeline.Autoencoder;
        var latent = draws.Latents(autoencoder, batch.Moments ?? autoencoder.EncodeMoments(batch.Images!));
        var noise = draws.Noise(latent.Value.Shape).To(Device);
        var level = Formulation.LevelsAt([.. draws.Fractions.Select(Formulation.TimeAt)], Device);
        return Measure(Formulation.AddNoise(latent, noise, level), Conditions.Of(batch, null), batch.Images, mask: MaskOf(batch)).Terms;
    }

    /// <summary>Unweighted terms and health metrics of noised samples as sums, without gradient.</summary>
    /// <param name="noisy">Noised samples.</param>
    /// <param name="condition">Their condition.</param>
    /// <param name="images">Their images, if an objective needs them.</param>
    /// <param name="pairs">Pair layout; null without pairs.</param>
    /// <param name="mask">Weights of the pixels in the loss; null if all are 1.</param>
    internal (IReadOnlyDictionary<string, HealthFigure> Terms, IReadOnlyDictionary<string, HealthFigure> Health) Measure(
        NoisedLatent noisy,
        Condition condition,
        Tensor? images,
        PairedSamples? pairs = null,
        LossMask? mask = null
    )
    {
        Denoised denoised;
        using (Autocast.Enter(Device, Precision))
            denoised = Model.At(noisy.Value, noisy.Level, condition);
        using (Autocast.Enter(Device, DecoderPrecision))
            return _objectives.Measure(new ObjectiveInputs(Formulation, noisy, denoised, images) { Pairs = pairs, Mask = mask });
    }

    /// <inheritdoc/>
    public StepReview? Review(IReadOnlyDictionary<string, double> figures) =>
        _objectives.TakeNotes() is { Count: > 0 } notes ? new StepReview([], string.Join("; ", notes), null) : null;

    /// <summary>
    /// Position of a batch in the run, with the noise levels of all micro-batches of its step, which follow from their seeds.
    /// </summary>
    /// <param name="noisy">Noisy latents of the batch.</param>
    /// <param name="seeds">Seeds of the batch.</param>
    /// <param name="levels">Noise levels of another micro-batch of the same size.</param>
    internal StepPlace PlaceOf(NoisedLatent noisy, StepSeeds seeds, Func<StepSeeds, NoiseLevel> levels) =>
        new(
            // The position among the micro-batches of this process, which are every n-th one.
            new StepPosition(seeds.Step, seeds.Micro / _processes, _options.Batch.Accumulate / _processes),
            _options.Batch.Accumulate == 1
                ? null
                :
                [
                    .. Enumerable
                        .Range(0, _options.Batch.Accumulate)
                        .Select(m => m == seeds.Micro ? noisy.Level : levels(seeds with { Micro = m })),
                ]
        );

    /// <summary>Windows to decode, from a separate random stream; null for whole latents.</summary>
    /// <param name="noisy">Noisy latents of the batch.</param>
    /// <param name="seeds">Seeds of the batch.</param>
    /// <param name="pairs">Number of pairs, whose samples share a window.</param>
    internal DecodeWindows? WindowsOf(NoisedLatent noisy, StepSeeds seeds, int pairs = 0)
    {
        if (_objectives.Crop is not { } crop)
            return null;
        using var generator = seeds.For(RandomPurpose.Windows);
        var shape = noisy.Value.Shape;
        return crop.Draw((int)shape[0] - pairs, shape[2], shape[3], generator).Spread(pairs);
    }

    /// <summary>Loss of noised samples.</summary>
    /// <param name="noisy">Noised samples.</param>
    /// <param name="condition">Their condition.</param>
    /// <param name="images">Their images, if an objective needs them.</param>
    /// <param name="place">Position in the run; null for a step of one batch.</param>
    /// <param name="pairs">Pair layout; null without pairs.</param>
    /// <param name="mask">Weights of the pixels in the loss; null if all are 1.</param>
    /// <param name="prior">Number of prior samples, the last of the batch.</param>
    /// <param name="windows">Windows to decode; null for whole latents.</param>
    internal StepLoss Evaluate(
        NoisedLatent noisy,
        Condition condition,
        Tensor? images,
        StepPlace? place = null,
        PairedSamples? pairs = null,
        LossMask? mask = null,
        int prior = 0,
        DecodeWindows? windows = null
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
            Mask = mask,
            Prior = prior,
            Windows = windows,
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
    public JsonNode? SaveState() =>
        _objectives.State.Count == 0 ? null : JsonSerializer.SerializeToNode(_objectives.State, JsonStyles.Verbatim);

    /// <inheritdoc/>
    public void LoadState(JsonNode? state)
    {
        if (_objectives.State.Count > 0)
            _objectives.State =
                state.Deserialize<Dictionary<string, AutoWeightState>>()
                ?? throw new InputException("The checkpoint has no measured weights, but the objective needs them.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Conditions.Dispose();
        _adapters?.Dispose();
        Pipeline.Dispose();
    }

    /// <summary>Replaces the objective, for trials of memory and time; measured weights start again.</summary>
    internal void Use(ObjectiveOptions objective) => _objectives = _createObjectives(objective);

    private LossMask? MaskOf(TrainingBatch batch) =>
        batch.Masks is { } masks && _options.Data.Masks is { } weights
            ? new LossMask((masks * (1 - weights.Outside)) + weights.Outside, weights.Normalise)
            : null;

    private NoisedLatent AddNoise(Latent latent, StepSeeds seeds)
    {
        using var phase = Clock?.Enter(StepPhases.Noise);
        using var generator = seeds.For(RandomPurpose.Noise);
        var level = LevelsOf((int)latent.Value.Shape[0], seeds);
        var noise = Ops.Randn(latent.Value.Shape, generator, dtype: DType.Float32).To(Device);
        return Formulation.AddNoise(latent, noise, level);
    }

    private NoiseLevel LevelsOf(int samples, StepSeeds seeds) => Formulation.LevelsAt(TimesOf(samples, seeds), Device);

    /// <summary>Network timesteps of a micro-batch, drawn from the training density.</summary>
    /// <param name="samples">Number of samples with separate timesteps.</param>
    /// <param name="seeds">Seeds of the micro-batch.</param>
    internal double[] TimesOf(int samples, StepSeeds seeds)
    {
        // Stratified timesteps have one offset per step.
        using var generator = (_options.Times.Stratified ? seeds with { Micro = 0 } : seeds).For(RandomPurpose.Levels);
        if (!_options.Times.Stratified)
            return Formulation.SampleTimes(samples, generator);
        var offset = TimestepDensity.Uniform.Sample(1, generator)[0];
        return Formulation.TimesOf(Formulation.Density.Stratified(offset, samples, seeds.Micro, _options.Batch.Accumulate));
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
