using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>Conditions of training samples.</summary>
public interface IConditionSource : IDisposable
{
    /// <summary>Validates the data before the first step, so that missing labels or captions do not fail the run hours later.</summary>
    /// <param name="source">Data set.</param>
    /// <param name="note">Receives notes on how the data is interpreted.</param>
    /// <returns>The data set with labels of the denoiser; by default as it is.</returns>
    /// <exception cref="InputException">Samples lack a required condition; the message names the first ones.</exception>
    IPictureSource Accept(IPictureSource source, Action<string> note) => source;

    /// <summary>One-time preparation before the first step, such as prompt encoding.</summary>
    /// <param name="sources">All training data.</param>
    /// <param name="note">Receives progress notes.</param>
    /// <param name="progress">Receives completed and total items, or null.</param>
    /// <param name="cancellation">Cancels the preparation.</param>
    void Prepare(IReadOnlyList<IPictureSource> sources, Action<string> note, Action<int, int>? progress, CancellationToken cancellation) { }

    /// <summary>Conditions of a sample grid, in the current scope; null for unconditional models.</summary>
    /// <param name="count">Number of pictures.</param>
    /// <param name="height">Height in pixels.</param>
    /// <param name="width">Width in pixels.</param>
    (IReadOnlyList<Condition> Conditions, Condition Unconditional)? Shown(int count, int height, int width) => null;

    /// <summary>Condition of a batch, with dropout for classifier-free guidance, in the current scope.</summary>
    /// <param name="batch">Samples.</param>
    /// <param name="seeds">Seeds of the dropout; null for none.</param>
    Condition Of(TrainingBatch batch, StepSeeds? seeds);
}
