using Retouch.Conditioning;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>For unconditional denoisers.</summary>
internal sealed class NoConditions : IConditionSource
{
    /// <inheritdoc/>
    public Condition Of(TrainingBatch batch, StepSeeds? seeds) => new();

    /// <inheritdoc/>
    public void Dispose() { }
}
