using Retouch.Conditioning;
using Retouch.Data;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>For unconditional denoisers.</summary>
internal sealed class NoConditions : IConditionSource
{
    /// <inheritdoc/>
    public IPictureSource Accept(IPictureSource source, Action<string> note) => source;

    /// <inheritdoc/>
    public void Prepare(
        IReadOnlyList<IPictureSource> sources,
        Action<string> note,
        Action<int, int>? progress,
        CancellationToken cancellation
    ) { }

    /// <inheritdoc/>
    public (IReadOnlyList<Condition> Conditions, Condition Unconditional)? Shown(int count, int height, int width) => null;

    /// <inheritdoc/>
    public Condition Of(TrainingBatch batch, StepSeeds? seeds) => new();

    /// <inheritdoc/>
    public void Dispose() { }
}
