using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Objectives.Preference;
using Retouch.Torch;
using Retouch.Training.Caching;

namespace Retouch.Training.Tasks;

/// <summary>
/// What training on pairs adds to a denoiser's step: the reference, what the two of a pair share, and the watch over both errors.
/// </summary>
/// <param name="options">Validated options.</param>
/// <param name="reference">For DPO; disposed with this.</param>
internal sealed class PairedTraining(PreferenceOptions options, IReferencePredictor? reference) : IDisposable
{
    private readonly PreferenceWatch _watch = new(options.Divergence);

    /// <summary>The reference's errors, where they were computed before training; disposed with this.</summary>
    public ReferenceErrors? Errors { get; set; }

    /// <summary>Figures for the progress line: what they are called there, and in the log.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Shown { get; } =
        FiguresOf(
            options.Space switch
            {
                PreferenceSpace.Pixel => "preference_pixel",
                PreferenceSpace.Features => "preference_features",
                _ => "preference_latent",
            }
        );

    /// <summary>Whether winners and losers are past the bound now.</summary>
    public bool IsPast => _watch.IsPast;

    /// <summary>What has to be saved for an exact resume.</summary>
    public JsonNode? State
    {
        get => JsonSerializer.SerializeToNode(_watch.State);
        set =>
            _watch.State =
                value.Deserialize<PreferenceWatchState>()
                ?? throw new InputException(
                    "The checkpoint holds nothing of the watch over winners and losers; it was written by a run without preferences."
                );
    }

    /// <summary>
    /// A condition of [winners; single samples] as one of [winners; losers; single samples]: both of a pair are told the same.
    /// </summary>
    public static Condition Spread(Condition condition, int pairs, int singles)
    {
        var winners = condition.Narrow(0, pairs);
        var both = winners.Concat(winners);
        return singles == 0 ? both : both.Concat(condition.Narrow(pairs, singles));
    }

    /// <summary>Times of [winners; single samples] as those of the whole batch: both of a pair have the same.</summary>
    public static double[] Spread(double[] times, int pairs) => [.. times[..pairs], .. times];

    /// <summary>Noise of the whole batch, [2 · pairs + singles, …], on the CPU.</summary>
    /// <param name="shape">Of the batch.</param>
    /// <param name="pairs">Pairs in it.</param>
    /// <param name="generator">Draws it.</param>
    public Tensor Noise(IReadOnlyList<long> shape, int pairs, Generator generator)
    {
        if (options.Noise == PairNoise.Separate)
            return Ops.Randn([.. shape], generator, dtype: DType.Float32);
        using var scope = TensorScope.Enter();
        var drawn = Ops.Randn([shape[0] - pairs, .. shape.Skip(1)], generator, dtype: DType.Float32);
        return scope.Keep(Ops.Cat([drawn.Narrow(0, 0, pairs), drawn], 0));
    }

    /// <summary>Latents of the whole batch; with shared noise, the noise of the encoder's posterior is shared as well.</summary>
    /// <param name="autoencoder">Draws them.</param>
    /// <param name="moments">The encoder's output.</param>
    /// <param name="pairs">Pairs in the batch.</param>
    /// <param name="generator">Draws for winners and single samples.</param>
    /// <param name="again">In the same state: draws for losers.</param>
    public Latent Draw(IAutoencoder autoencoder, Tensor moments, int pairs, Generator generator, Generator again)
    {
        if (options.Noise == PairNoise.Separate)
            return autoencoder.Draw(moments, generator);
        using var scope = TensorScope.Enter();
        var singles = moments.Shape[0] - (2 * pairs);
        List<Tensor> parts =
        [
            autoencoder.Draw(moments.Narrow(0, 0, pairs), generator).Value,
            autoencoder.Draw(moments.Narrow(0, pairs, pairs), again).Value,
        ];
        if (singles > 0)
            parts.Add(autoencoder.Draw(moments.Narrow(0, 2 * pairs, singles), generator).Value);
        return new Latent(scope.Keep(Ops.Cat([.. parts], 0)));
    }

    /// <summary>The pairs of a step, with what the reference makes of them.</summary>
    /// <param name="formulation">Reads the prediction.</param>
    /// <param name="noisy">What the network sees too.</param>
    /// <param name="condition">What it is told.</param>
    /// <param name="pairs">Pairs in the batch.</param>
    /// <param name="known">The reference's errors, where they were computed before training.</param>
    public PairedSamples Predict(
        Formulation formulation,
        NoisedLatent noisy,
        Condition condition,
        int pairs,
        IReadOnlyDictionary<PreferenceSpace, Tensor>? known
    )
    {
        if (reference is null)
            return new PairedSamples(pairs)
            {
                ReferenceErrors = known?.ToDictionary(static e => e.Key, e => e.Value.To(noisy.Value.Device)),
            };
        using var quiet = Autograd.NoGrad();
        return new PairedSamples(pairs)
        {
            Reference = formulation.Recover(noisy, reference.Predict(noisy.Value, noisy.Level.Model, condition)),
        };
    }

    /// <summary>Looks at a finished step.</summary>
    public StepReview Review(IReadOnlyDictionary<string, double> figures)
    {
        var verdict = _watch.Observe(figures);
        return new StepReview(
            verdict.Figures,
            verdict.Note,
            verdict.Stop is null
                ? null
                : verdict.Stop
                    + " Start again with a lower learning rate or beta, or with an anchor (objective.latentWeight); "
                    + "objective.preference.divergence sets the bound."
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        reference?.Dispose();
        Errors?.Dispose();
    }

    private static KeyValuePair<string, string>[] FiguresOf(string name) =>
        [
            new("accuracy", $"{name}/accuracy"),
            new("margin", $"{name}/margin"),
            new("winner", $"{name}/winner"),
            new("loser", $"{name}/loser"),
        ];
}
