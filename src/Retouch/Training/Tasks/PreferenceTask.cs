using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.Preference;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training.Caching;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>
/// Trains a denoiser on pairs: a <see cref="DenoiserTask"/> whose batches are [winners; losers; single samples], with the reference that
/// DPO compares with and the watch over the errors of winners and losers.
/// </summary>
public sealed class PreferenceTask : ITrainingTask
{
    private const string WeightsState = "weights";
    private const string WatchState = "watch";
    private readonly DenoiserTask _inner;
    private readonly IReferenceModel? _reference;
    private readonly PairErrors? _errors;
    private readonly PairedDraws _draws;
    private readonly PreferenceWatch _watch;

    /// <param name="inner">The denoiser's task; disposed with this.</param>
    /// <param name="options">Validated options, with <see cref="ObjectiveOptions.Preference"/>.</param>
    /// <param name="reference">What DPO compares with, disposed with this; where null, the denoiser with its adapters off, or a frozen copy
    /// of it where there are none.</param>
    public PreferenceTask(DenoiserTask inner, TrainingOptions options, IReferenceModel? reference = null)
    {
        ArgumentNullException.ThrowIfNull(inner);
        ArgumentNullException.ThrowIfNull(options);
        var preference = options.Objective!.Preference!;
        _inner = inner;
        _draws = new PairedDraws(preference.Noise);
        _watch = new PreferenceWatch(preference.Divergence);
        Shown = FiguresOf(
            preference.Space switch
            {
                PreferenceSpace.Pixel => "preference_pixel",
                PreferenceSpace.Features => "preference_features",
                _ => "preference_latent",
            }
        );
        if (preference.PrecomputesReference)
            _errors = new PairErrors(preference, inner.Pipeline.Autoencoder, options.Objective.DecodeBatch ?? 0, inner.Resolution);
        else if (preference.NeedsReference)
            _reference = reference ?? Live(inner);
    }

    /// <summary>The denoiser's task.</summary>
    internal DenoiserTask Inner => _inner;

    /// <summary>Whether the reference's errors have to be given to <see cref="Reference"/> before the first step.</summary>
    internal bool PrecomputesReference => _errors is not null;

    /// <summary>The reference's errors in all steps; disposed with this.</summary>
    internal ReferenceErrors? Reference { get; set; }

    /// <inheritdoc/>
    public ParameterStore Network => _inner.Network;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, string>> Shown { get; }

    /// <inheritdoc/>
    public bool IsSuspect => _watch.IsPast;

    /// <inheritdoc/>
    public IPictureSource Accept(IPictureSource source, Action<string> note) => _inner.Accept(source, note);

    /// <inheritdoc/>
    public void Prepare(
        IReadOnlyList<IPictureSource> sources,
        Action<string> note,
        Action<int, int>? progress,
        CancellationToken cancellation
    ) => _inner.Prepare(sources, note, progress, cancellation);

    /// <inheritdoc/>
    public StepLoss Evaluate(TrainingBatch batch, StepSeeds seeds)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var (noisy, condition) = Draw(batch, seeds);
        var place = _inner.PlaceOf(noisy, seeds, s => LevelsOf(batch.Count, batch.Pairs, s));
        return Evaluate(noisy, condition, batch.Images, batch.Pairs, Reference?.Of(batch, seeds), place);
    }

    /// <summary>The loss of samples to which noise was added already.</summary>
    /// <param name="noisy">[winners; losers; single samples].</param>
    /// <param name="condition">Of all of them.</param>
    /// <param name="images">Of all of them, where an objective looks at images.</param>
    /// <param name="pairs">Pairs.</param>
    /// <param name="known">The reference's errors, where they were computed before training.</param>
    /// <param name="place">Where in the run they are; null for a step of one batch.</param>
    internal StepLoss Evaluate(
        NoisedLatent noisy,
        Condition condition,
        Tensor? images,
        int pairs,
        IReadOnlyDictionary<PreferenceSpace, Tensor>? known = null,
        StepPlace? place = null
    )
    {
        PairedSamples paired;
        using (_inner.Clock?.Enter(StepPhases.Reference))
        using (Autocast.Enter(_inner.Device, _inner.Precision))
            paired = Compare(noisy, condition, pairs, known);
        return _inner.Evaluate(noisy, condition, images, place, paired);
    }

    /// <summary>
    /// The errors of a batch's pairs as the network is now: called before training, those of its reference. In the open scope.
    /// </summary>
    internal IReadOnlyDictionary<PreferenceSpace, Tensor> ErrorsOf(TrainingBatch batch, StepSeeds seeds)
    {
        using var quiet = Autograd.NoGrad();
        using var off = _inner.Adapters?.Off();
        var (noisy, condition) = Draw(batch, seeds);
        Denoised denoised;
        using (Autocast.Enter(_inner.Device, _inner.Precision))
            denoised = _inner.Model.At(noisy.Value, noisy.Level, condition);
        using var cast = Autocast.Enter(_inner.Device, _inner.DecoderPrecision);
        return _errors!.Of(
            new ObjectiveInputs(_inner.Formulation, noisy, denoised, batch.Images) { Pairs = new PairedSamples(batch.Pairs) }
        );
    }

    /// <inheritdoc/>
    public StepReview? Review(IReadOnlyDictionary<string, double> figures)
    {
        var verdict = _watch.Observe(figures);
        string[] notes = [.. new[] { _inner.Review(figures)?.Note, verdict.Note }.OfType<string>()];
        return new StepReview(
            verdict.Figures,
            notes.Length == 0 ? null : string.Join("; ", notes),
            verdict.Stop is null
                ? null
                : verdict.Stop
                    + " Start again with a lower learning rate or beta, or with an anchor (objective.latentWeight); "
                    + "objective.preference.divergence sets the bound."
        );
    }

    /// <inheritdoc/>
    public void Save(string folder) => _inner.Save(folder);

    /// <inheritdoc/>
    public JsonNode? SaveState() =>
        new JsonObject { [WeightsState] = _inner.SaveState(), [WatchState] = JsonSerializer.SerializeToNode(_watch.State) };

    /// <inheritdoc/>
    public void LoadState(JsonNode? state)
    {
        _watch.State =
            state?[WatchState].Deserialize<PreferenceWatchState>()
            ?? throw new InputException(
                "The checkpoint holds nothing of the watch over winners and losers; it was written by a run without preferences."
            );
        _inner.LoadState(state[WeightsState]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _reference?.Dispose();
        Reference?.Dispose();
        _inner.Dispose();
    }

    private static IReferenceModel Live(DenoiserTask inner) =>
        inner.Adapters is { } adapters
            ? new AdaptersOffReference(inner.Model, adapters)
            : new FrozenReference(inner.Pipeline.CopyDenoiser(), inner.Formulation);

    /// <summary>The pairs of a step, with what the reference makes of them.</summary>
    private PairedSamples Compare(NoisedLatent noisy, Condition condition, int pairs, IReadOnlyDictionary<PreferenceSpace, Tensor>? known)
    {
        if (_reference is null)
            return new PairedSamples(pairs)
            {
                ReferenceErrors = known?.ToDictionary(static e => e.Key, e => e.Value.To(noisy.Value.Device)),
            };
        using var quiet = Autograd.NoGrad();
        return new PairedSamples(pairs) { Reference = _reference.At(noisy.Value, noisy.Level, condition) };
    }

    private (NoisedLatent Noisy, Condition Condition) Draw(TrainingBatch batch, StepSeeds seeds)
    {
        var noisy = AddNoise(Encode(batch, seeds), seeds, batch.Pairs);
        var told = _inner.Conditions.Of(batch.WithoutLosers(), seeds);
        return (noisy, PairedDraws.Spread(told, batch.Pairs, batch.Count - (2 * batch.Pairs)));
    }

    private NoisedLatent AddNoise(Latent latent, StepSeeds seeds, int pairs)
    {
        using var phase = _inner.Clock?.Enter(StepPhases.Noise);
        using var noiseGenerator = seeds.For(RandomPurpose.Noise);
        var level = LevelsOf((int)latent.Value.Shape[0], pairs, seeds);
        var noise = _draws.Noise(latent.Value.Shape, pairs, noiseGenerator).To(_inner.Device);
        return _inner.Formulation.AddNoise(latent, noise, level);
    }

    private NoiseLevel LevelsOf(int samples, int pairs, StepSeeds seeds)
    {
        using var generator = seeds.For(RandomPurpose.Levels);
        var times = _inner.Formulation.SampleTimes(samples - pairs, generator);
        return _inner.Formulation.LevelsAt(PairedDraws.Spread(times, pairs), _inner.Device);
    }

    private Latent Encode(TrainingBatch batch, StepSeeds seeds)
    {
        using var phase = _inner.Clock?.Enter(StepPhases.Encode);
        using var generator = seeds.For(RandomPurpose.Posterior);
        using var again = seeds.For(RandomPurpose.Posterior);
        using var quiet = Autograd.NoGrad();
        var autoencoder = _inner.Pipeline.Autoencoder;
        return _draws.Draw(autoencoder, batch.Moments ?? autoencoder.EncodeMoments(batch.Images!), batch.Pairs, generator, again);
    }

    private static KeyValuePair<string, string>[] FiguresOf(string name) =>
        [
            new("accuracy", $"{name}/accuracy"),
            new("margin", $"{name}/margin"),
            new("winner", $"{name}/winner"),
            new("loser", $"{name}/loser"),
        ];
}
