using System.Text.Json.Nodes;
using Retouch.Data;
using Retouch.Objectives;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Training.Tasks;

/// <summary>What is trained and how its loss is computed; the <see cref="Trainer"/> does the rest.</summary>
public interface ITrainingTask : IDisposable
{
    /// <summary>What is trained: a network's own tensors, or those of the adapters beside it.</summary>
    ParameterStore Network { get; }

    /// <summary>Looks through the data before anything is written or trained.</summary>
    /// <exception cref="Core.Errors.InputException">Samples lack what this task needs of them.</exception>
    void Check(IPictureSource source);

    /// <summary>Does what takes its time, once, before the first step.</summary>
    /// <param name="sources">All data that will be trained on.</param>
    /// <param name="note">Told what is going on.</param>
    /// <param name="progress">Told how much is done, and of how much; null where nobody looks.</param>
    /// <param name="cancellation">Stops it.</param>
    void Prepare(IReadOnlyList<IPictureSource> sources, Action<string> note, Action<int, int>? progress, CancellationToken cancellation);

    /// <summary>The loss of a batch, with its graph.</summary>
    /// <param name="batch">Samples; freed by the caller.</param>
    /// <param name="seeds">Everything random comes from here.</param>
    StepLoss Evaluate(TrainingBatch batch, StepSeeds seeds);

    /// <summary>
    /// Figures of <see cref="LossTerms.Figures"/> that the progress line shows: what they are called there, and in the log.
    /// </summary>
    IReadOnlyList<KeyValuePair<string, string>> Shown => [];

    /// <summary>Whether the weights may be past saving, so that a checkpoint of them should not push out an earlier one.</summary>
    bool IsSuspect => false;

    /// <summary>Looks at a step that is done; null where there is nothing to say.</summary>
    /// <param name="figures">All that is logged of it.</param>
    StepReview? Review(IReadOnlyDictionary<string, double> figures) => null;

    /// <summary>Writes a folder that diffusers loads, with the present weights.</summary>
    /// <param name="folder">Replaced as a whole.</param>
    void Save(string folder);

    /// <summary>What must be kept to go on exactly, such as an automatic weight; null when there is nothing.</summary>
    JsonNode? SaveState();

    /// <summary>Takes back what <see cref="SaveState"/> gave.</summary>
    void LoadState(JsonNode? state);
}

/// <summary>Samples of one micro-batch.</summary>
/// <param name="Images">[batch, 3, height, width] in [−1, 1]; null where moments are cached and no objective looks at pixels.</param>
/// <param name="Moments">The encoder's output [batch, 2·channels, height, width], where it is cached.</param>
/// <param name="Samples">Name, class and caption of each.</param>
/// <param name="Frames">How each was cut out of its picture.</param>
/// <param name="Next">Where the data goes on after this batch.</param>
public sealed record TrainingBatch(
    Tensor? Images,
    Tensor? Moments,
    IReadOnlyList<Sample> Samples,
    IReadOnlyList<FrameRecord> Frames,
    DataCursor Next
)
{
    /// <summary>Pairs: the first samples are their winners, the next as many their losers, and single samples follow. 0 where all are
    /// single.</summary>
    public int Pairs { get; init; }

    /// <summary>Samples.</summary>
    public int Count => Samples.Count;

    /// <summary>The batch without losers: what has to be known of it to tell the denoiser what it is told, each pair once. Its tensors stay
    /// those of all, for their height and width.</summary>
    internal TrainingBatch WithoutLosers() =>
        this with
        {
            Pairs = 0,
            Samples = [.. Samples.Take(Pairs), .. Samples.Skip(2 * Pairs)],
            Frames = [.. Frames.Take(Pairs), .. Frames.Skip(2 * Pairs)],
        };
}

/// <summary>The loss of a micro-batch.</summary>
/// <param name="Loss">The scalar that is differentiated, its terms, and figures that are logged beside them.</param>
/// <param name="PerSample">The first term per sample [batch], no gradient; finds the culprit when something is not finite.</param>
/// <param name="Times">Timestep of each sample [batch], or null where there is none.</param>
public sealed record StepLoss(LossTerms Loss, Tensor PerSample, Tensor? Times);

/// <summary>What a task has to say of a finished step.</summary>
/// <param name="Figures">To be logged with the step.</param>
/// <param name="Note">What a person should see now; null for nothing.</param>
/// <param name="Stop">Why training cannot go on, and what to do; null while it can.</param>
public sealed record StepReview(IReadOnlyList<KeyValuePair<string, double>> Figures, string? Note, string? Stop);
