using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>The classes of samples.</summary>
/// <param name="classes">How many the denoiser knows; this number stands for "no class".</param>
/// <param name="dropout">The chance that a label is replaced by "no class".</param>
/// <param name="device">Where labels go.</param>
internal sealed class ClassConditions(int classes, double dropout, Device device) : IConditionSource
{
    /// <inheritdoc/>
    public void Check(IPictureSource source)
    {
        var known = Enumerable.Range(0, source.Count).Select(k => source[k]).ToArray();
        Refuse(
            [.. known.Where(static s => s.Label is null).Select(static s => s.Id)],
            known.Length,
            "no class, but the denoiser is class-conditional. Put pictures into class subfolders or give labels in metadata.jsonl"
        );
        Refuse(
            [.. known.Where(s => s.Label >= classes).Select(static s => $"{s.Id} (class {s.Label})")],
            known.Length,
            $"a class beyond the {classes} that the denoiser knows (0 to {classes - 1})"
        );
    }

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
    public Condition Of(TrainingBatch batch, StepSeeds seeds)
    {
        var labels = batch.Samples.Select(static s => (long)s.Label!.Value).ToArray();
        using var generator = seeds.For(RandomPurpose.Dropout);
        return new Condition(ClassDropout.Apply(Tensor.From(labels).To(device), dropout, classes, generator));
    }

    /// <inheritdoc/>
    public void Dispose() { }

    private static void Refuse(string[] names, int count, string problem)
    {
        const int Shown = 3;
        if (names.Length > 0)
            throw new InputException(
                $"{names.Length} of {count} pictures have {problem}. The first are {string.Join(", ", names.Take(Shown))}."
            );
    }
}
