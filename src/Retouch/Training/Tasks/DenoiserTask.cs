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
        pipeline.Autoencoder.Parameters.RequireGrad(false);
        pipeline.Denoiser.CheckpointActivations = options.Model.CheckpointActivations;
        Model = pipeline.CreateModel(options.Times.ToDensity());
        DenoiserChecks.Check(options, pipeline, Formulation);
        _objectives = new ObjectiveSet(options.Objective!, pipeline.Autoencoder, clock: clock);
        _adapters = options.Lora is null ? null : new AdapterTraining(pipeline, options, device);
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

    /// <summary>Where the networks are.</summary>
    internal Device Device { get; }

    /// <summary>What products compute in.</summary>
    internal DType Precision { get; }

    /// <summary>Told the phases of a step.</summary>
    internal PhaseClock? Clock { get; }

    /// <summary>Whether the denoiser is told captions.</summary>
    internal bool TakesPrompts => Pipeline.Denoiser.TextWidth is not null;

    /// <inheritdoc/>
    public void Check(IPictureSource source) => Conditions.Check(source);

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
        return Evaluate(noisy, Conditions.Of(batch, seeds), batch.Images);
    }

    /// <summary>The loss of samples to which noise was added already.</summary>
    internal StepLoss Evaluate(NoisedLatent noisy, Condition condition, Tensor? images, PairedSamples? pairs = null)
    {
        Denoised denoised;
        using (Clock?.Enter(StepPhases.Denoiser))
        using (Autocast.Enter(Device, Precision))
            denoised = Model.At(noisy.Value, noisy.Level, condition);
        using var phase = Clock?.Enter(StepPhases.Objectives);
        var inputs = new ObjectiveInputs(Formulation, noisy, denoised, images) { Pairs = pairs };
        LossTerms terms;
        using (Autocast.Enter(Device, Precision))
            terms = _objectives.Evaluate(inputs);
        return new StepLoss(terms, inputs.Residual.Detach().Square().Mean([1L, 2, 3]), noisy.Level.Model);
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
        using var levelGenerator = seeds.For(RandomPurpose.Levels);
        using var noiseGenerator = seeds.For(RandomPurpose.Noise);
        var level = Formulation.SampleLevels((int)latent.Value.Shape[0], levelGenerator, Device);
        var noise = Ops.Randn(latent.Value.Shape, noiseGenerator, dtype: DType.Float32).To(Device);
        return Formulation.AddNoise(latent, noise, level);
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
        return pipeline.Denoiser.ClassCount is { } count ? new ClassConditions(count, dropout, device) : new NoConditions();
    }
}
