using Retouch.Conditioning;
using Retouch.Data;
using Retouch.Torch.Errors;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>What the denoiser is told of each sample while it is trained.</summary>
public interface IConditionSource : IDisposable
{
    /// <summary>Looks through the data before the first step, so that nothing is found missing after hours.</summary>
    /// <exception cref="InputException">Samples lack what the denoiser has to be told; the first ones are named.</exception>
    void Check(IPictureSource source);

    /// <summary>The condition of a batch, some of it dropped for classifier-free guidance, in the open scope.</summary>
    /// <param name="batch">The samples.</param>
    /// <param name="seeds">Decides which are dropped.</param>
    Condition Of(TrainingBatch batch, StepSeeds seeds);
}
