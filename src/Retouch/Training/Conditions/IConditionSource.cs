using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>What the denoiser is told of each sample while it is trained.</summary>
public interface IConditionSource : IDisposable
{
    /// <summary>Looks through the data before the first step, so that nothing is found missing after hours.</summary>
    /// <param name="source">The data.</param>
    /// <param name="note">Told how the data are understood.</param>
    /// <returns>The data with the denoiser's classes for labels.</returns>
    /// <exception cref="InputException">Samples lack what the denoiser has to be told; the first ones are named.</exception>
    IPictureSource Accept(IPictureSource source, Action<string> note);

    /// <summary>Does what takes its time, once, before the first step.</summary>
    /// <param name="sources">All data that will be trained on.</param>
    /// <param name="note">Told what is going on.</param>
    /// <param name="progress">Told how much is done, and of how much; null where nobody looks.</param>
    /// <param name="cancellation">Stops it.</param>
    void Prepare(IReadOnlyList<IPictureSource> sources, Action<string> note, Action<int, int>? progress, CancellationToken cancellation);

    /// <summary>What the pictures of a sample grid are drawn with; null where classes take turns, or there is nothing to tell.</summary>
    /// <param name="count">Pictures.</param>
    /// <param name="height">Of each, in pixels.</param>
    /// <param name="width">Of each, in pixels.</param>
    (IReadOnlyList<Condition> Conditions, Condition Unconditional)? Shown(int count, int height, int width);

    /// <summary>The condition of a batch, some of it dropped for classifier-free guidance, in the open scope.</summary>
    /// <param name="batch">The samples.</param>
    /// <param name="seeds">Decides which are dropped.</param>
    Condition Of(TrainingBatch batch, StepSeeds seeds);
}
