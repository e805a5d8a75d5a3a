using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Data;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.Preference;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training.Caching;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;

namespace Retouch.Training.Tasks;

/// <summary>
/// Training of a denoiser on pairs: a <see cref="DenoiserTask"/> with batches [winners; losers; single samples], DPO's reference model, and
/// the divergence check on errors of winners and losers.
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

    /// <param name="inner">The denoiser task; disposed with this object.</param>
    /// <param name="options">Validated options, with <see cref="ObjectiveOptions.Preference"/>.</param>
    /// <param name="reference">Reference model of DPO, disposed with this object; null for the denoiser with its adapters disabled or,
    /// without adapters, a frozen copy.</param>
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

    /// <summary>The denoiser task.</summary>
    internal DenoiserTask Inner => _inner;

    /// <summary>Whether <see cref="Reference"/> must be set before the first step.</summary>
    internal bool PrecomputesReference => _errors is not null;

    /// <summary>Precomputed errors of the reference model; disposed with this object.</summary>
    internal ReferenceErrors? Reference { get; set; }

    /// <inheritdoc/>
    public ParameterStore Network => _inner.Network;

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<Parameter>> Blocks => _inner.Blocks;

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
        var windows = _inner.WindowsOf(noisy, seeds, batch.Pairs);
        return Evaluate(noisy, condition, batch.Images, batch.Pairs, Reference?.Of(batch, seeds), place, windows);
    }

    /// <summary>Loss of noised samples.</summary>
    /// <param name="noisy">[winners; losers; single samples].</param>
    /// <param name="condition">Condition of all samples.</param>
    /// <param name="images">Images of all samples, if an objective needs them.</param>
    /// <param name="pairs">Number of pairs.</param>
    /// <param name="known">Precomputed errors of the reference model, or null.</param>
    /// <param name="place">Position in the run; null for a step of one batch.</param>
    /// <param name="windows">Windows to decode; null for whole latents.</param>
    internal StepLoss Evaluate(
        NoisedLatent noisy,
        Condition condition,
        Tensor? images,
        int pairs,
        IReadOnlyDictionary<PreferenceSpace, Tensor>? known = null,
        StepPlace? place = null,
        DecodeWindows? windows = null
    )
    {
        PairedSamples paired;
        using (_inner.Clock?.Enter(StepPhases.Reference))
        using (Autocast.Enter(_inner.Device, _inner.Precision))
            paired = Compare(noisy, condition, pairs, known);
        return _inner.Evaluate(noisy, condition, images, place, paired, windows: windows);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Terms => _inner.Terms;

    /// <inheritdoc/>
    public int? TrainSteps => _inner.TrainSteps;

    /// <summary>
    /// Unweighted terms of held-out pairs with the metrics of <see cref="Shown"/>: accuracy, margin and errors of winners and losers.
    /// </summary>
    public IReadOnlyDictionary<string, HealthFigure> Validate(TrainingBatch batch, HeldOutDraws draws)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(draws);
        using var quiet = Autograd.NoGrad();
        var pairs = batch.Pairs;
        var autoencoder = _inner.Pipeline.Autoencoder;
        var moments = autoencoder.EncodeMoments(batch.Images!);
        var ofLosers = _draws.IsShared ? 0 : 1;
        var winners = draws.Latents(autoencoder, moments.Narrow(0, 0, pairs)).Value;
        var losers = draws.Latents(autoencoder, moments.Narrow(0, pairs, pairs), ofLosers).Value;
        var noise = Ops.Cat([draws.Noise(winners.Shape), draws.Noise(losers.Shape, stream: ofLosers)], 0).To(_inner.Device);
        double[] times = [.. draws.Fractions.Select(_inner.Formulation.TimeAt)];
        var level = _inner.Formulation.LevelsAt(PairedDraws.Spread(times, pairs), _inner.Device);
        var noisy = _inner.Formulation.AddNoise(new Latent(Ops.Cat([winners, losers], 0)), noise, level);
        var condition = PairedDraws.Spread(_inner.Conditions.Of(batch.WithoutLosers(), null), pairs, 0);
        PairedSamples paired;
        using (Autocast.Enter(_inner.Device, _inner.Precision))
            paired = Compare(noisy, condition, pairs, null);
        var (terms, health) = _inner.Measure(noisy, condition, batch.Images, paired);
        var result = terms.ToDictionary(StringComparer.Ordinal);
        foreach (var (_, name) in Shown)
            result[name] = health[name];
        return result;
    }

    /// <summary>
    /// Errors of a batch's pairs with the current network; before training they equal the reference model's. In the current scope.
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
            new ObjectiveInputs(_inner.Formulation, noisy, denoised, batch.Images)
            {
                Pairs = new PairedSamples(batch.Pairs),
                Windows = _inner.WindowsOf(noisy, seeds, batch.Pairs),
            }
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
        new JsonObject
        {
            [WeightsState] = _inner.SaveState(),
            [WatchState] = JsonSerializer.SerializeToNode(_watch.State, JsonStyles.Verbatim),
        };

    /// <inheritdoc/>
    public void LoadState(JsonNode? state)
    {
        _watch.State =
            state?[WatchState].Deserialize<PreferenceWatchState>()
            ?? throw new InputException(
                "The checkpoint has no divergence state for winners and losers; it was written by a run without preferences."
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
            : new FrozenReference(inner.Pipeline.CopyDenoiser(FrozenParts.Layers(inner.Precision)), inner.Formulation);

    /// <summary>Pairs of a step, with the reference model's prediction or errors.</summary>
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
        var condition = _inner.Conditions.Of(batch.WithoutLosers(), seeds);
        return (noisy, PairedDraws.Spread(condition, batch.Pairs, batch.Count - (2 * batch.Pairs)));
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
        var times = _inner.TimesOf(samples - pairs, seeds);
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
