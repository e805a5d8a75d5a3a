using System.Text.Json.Nodes;
using Retouch.Data;
using Retouch.Objectives;
using Retouch.Objectives.Autoencoder;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Training.HeldOut;

namespace Retouch.Training.Tasks;

/// <summary>A training task: a network and its loss. <see cref="Trainer"/> runs the loop.</summary>
public interface ITrainingTask : IDisposable
{
    /// <summary>Trained parameters: those of the network, or of its adapters.</summary>
    ParameterStore Network { get; }

    /// <summary>Parameters of the blocks of the trained or adapted network that several processes can divide; empty without.</summary>
    IReadOnlyList<IReadOnlyList<Parameter>> Blocks => [];

    /// <summary>Discriminator trained beside the network, or null.</summary>
    Adversary? Adversary => null;

    /// <summary>Validates the data before anything is written or trained.</summary>
    /// <param name="source">Data set.</param>
    /// <param name="note">Receives notes on how the data is interpreted.</param>
    /// <returns>The data set with labels of the denoiser.</returns>
    /// <exception cref="Core.Errors.InputException">Samples lack a label or caption that the task needs.</exception>
    IPictureSource Accept(IPictureSource source, Action<string> note);

    /// <summary>One-time preparation before the first step, such as prompt encoding.</summary>
    /// <param name="sources">All training data.</param>
    /// <param name="note">Receives progress notes.</param>
    /// <param name="progress">Receives completed and total items, or null.</param>
    /// <param name="cancellation">Cancels the preparation.</param>
    void Prepare(IReadOnlyList<IPictureSource> sources, Action<string> note, Action<int, int>? progress, CancellationToken cancellation);

    /// <summary>Loss of a batch, with its graph.</summary>
    /// <param name="batch">Samples; owned by the caller.</param>
    /// <param name="seeds">Seeds of everything random.</param>
    StepLoss Evaluate(TrainingBatch batch, StepSeeds seeds);

    /// <summary>Names of the loss terms, in order.</summary>
    IReadOnlyList<string> Terms { get; }

    /// <summary>Upper bound of the timesteps; null for a task without timesteps.</summary>
    int? TrainSteps => null;

    /// <summary>
    /// Unweighted terms of held-out samples, and other metrics of the task, as sums over the batch; without gradient, condition dropout or
    /// any effect on the training.
    /// </summary>
    /// <param name="batch">Samples; owned by the caller.</param>
    /// <param name="draws">Their timesteps and noise.</param>
    IReadOnlyDictionary<string, HealthFigure> Validate(TrainingBatch batch, HeldOutDraws draws);

    /// <summary>Metrics of <see cref="LossTerms.Figures"/> shown in the progress line: display name and log name.</summary>
    IReadOnlyList<KeyValuePair<string, string>> Shown => [];

    /// <summary>Whether the weights may have diverged, so that a checkpoint should not replace an earlier one.</summary>
    bool IsSuspect => false;

    /// <summary>Reviews a completed step, or null.</summary>
    /// <param name="figures">All logged metrics of the step.</param>
    StepReview? Review(IReadOnlyDictionary<string, double> figures) => null;

    /// <summary>Saves the current weights as a diffusers folder.</summary>
    /// <param name="folder">Replaced atomically.</param>
    void Save(string folder);

    /// <summary>State for an exact resume, such as measured weights, or null.</summary>
    JsonNode? SaveState();

    /// <summary>Restores the result of <see cref="SaveState"/>.</summary>
    void LoadState(JsonNode? state);
}

/// <summary>Samples of one micro-batch.</summary>
/// <param name="Images">[batch, 3, height, width] in [−1, 1]; null with cached moments, unless an objective needs pixels.</param>
/// <param name="Moments">Cached encoder output [batch, 2·channels, height, width], or null.</param>
/// <param name="Samples">Name, class and caption of each sample.</param>
/// <param name="Frames">Crop of each sample.</param>
/// <param name="Next">Data cursor after this batch.</param>
public sealed record TrainingBatch(
    Tensor? Images,
    Tensor? Moments,
    IReadOnlyList<Sample> Samples,
    IReadOnlyList<FrameRecord> Frames,
    DataCursor Next
)
{
    /// <summary>Number of pairs: the batch is [winners; losers; single samples]. 0 without pairs.</summary>
    public int Pairs { get; init; }

    /// <summary>Number of prior samples, the last of the batch.</summary>
    public int Prior { get; init; }

    /// <summary>Masks of the loss, [batch, 1, height, width] in [0, 1]; null if they are 1 everywhere.</summary>
    public Tensor? Masks { get; init; }

    /// <summary>Number of samples.</summary>
    public int Count => Samples.Count;

    /// <summary>The first samples of the batch, or its first pairs, with their share of the single and prior samples.</summary>
    /// <param name="count">Number of samples or pairs.</param>
    /// <param name="size">Their number in the whole batch.</param>
    internal TrainingBatch Part(int count, int size)
    {
        int[] Few(int start, int all) => [.. Enumerable.Range(start, Math.Min(all, Math.Max(1, all * count / size)))];
        var single = Count - (2 * Pairs) - Prior;
        int[] chosen =
        [
            .. Enumerable.Range(0, Math.Min(count, Pairs)),
            .. Enumerable.Range(Pairs, Math.Min(count, Pairs)),
            .. Few(2 * Pairs, single),
            .. Few(Count - Prior, Prior),
        ];
        Tensor? Of(Tensor? all) => all?.IndexSelect(0, Tensor.From(Array.ConvertAll(chosen, static k => (long)k)).To(all.Device));
        return this with
        {
            Images = Of(Images),
            Moments = Of(Moments),
            Masks = Of(Masks),
            Samples = [.. chosen.Select(k => Samples[k])],
            Frames = [.. chosen.Select(k => Frames[k])],
            Pairs = Math.Min(count, Pairs),
            Prior = Few(0, Prior).Length,
        };
    }

    /// <summary>
    /// The batch without losers, to build conditions once per pair. Tensors are those of the full batch; only their height and width are
    /// used.
    /// </summary>
    internal TrainingBatch WithoutLosers() =>
        this with
        {
            Pairs = 0,
            Samples = [.. Samples.Take(Pairs), .. Samples.Skip(2 * Pairs)],
            Frames = [.. Frames.Take(Pairs), .. Frames.Skip(2 * Pairs)],
        };
}

/// <summary>Loss of a micro-batch.</summary>
/// <param name="Loss">Total loss to differentiate, its terms and health metrics.</param>
/// <param name="PerSample">First term per sample [batch], without gradient; identifies samples with a non-finite loss.</param>
/// <param name="Times">Timestep of each sample [batch], or null.</param>
public sealed record StepLoss(LossTerms Loss, Tensor PerSample, Tensor? Times);

/// <summary>A task's review of a completed step.</summary>
/// <param name="Figures">Metrics to log with the step.</param>
/// <param name="Note">User-facing note, or null.</param>
/// <param name="Stop">Reason to stop training and advice, or null.</param>
public sealed record StepReview(IReadOnlyList<KeyValuePair<string, double>> Figures, string? Note, string? Stop);
