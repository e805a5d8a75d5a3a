using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training.Conditions;

/// <summary>Class conditions of samples.</summary>
/// <param name="classes">Number of classes of the denoiser; also the index of the "no class" embedding.</param>
/// <param name="labels">Class names of the model by index; empty without names.</param>
/// <param name="dropout">Probability of replacing a label by "no class".</param>
/// <param name="device">Device of the labels.</param>
internal sealed class ClassConditions(int classes, IReadOnlyDictionary<int, string> labels, double dropout, Device device)
    : IConditionSource
{
    private IReadOnlyList<int>? _ofData;

    /// <inheritdoc/>
    public IPictureSource Accept(IPictureSource source, Action<string> note)
    {
        const int Shown = 3;
        string[] without =
        [
            .. Enumerable.Range(0, source.Count).Select(k => source[k]).Where(static s => s.Label is null).Select(static s => s.Id),
        ];
        if (without.Length > 0)
        {
            throw new InputException(
                $"{without.Length} of {source.Count} pictures have no class, but the denoiser is class-conditional. Put "
                    + $"pictures into class "
                    + "subfolders, all at one depth, or give labels in metadata.jsonl. The first are "
                    + $"{string.Join(", ", without.Take(Shown))}."
            );
        }

        var mapping = ClassMapping.Create(source, labels, classes);
        note(mapping.Describe(source));
        var accepted = mapping.Apply(source);
        _ofData ??= [.. Enumerable.Range(0, accepted.Count).Select(k => accepted[k].Label!.Value).Distinct().Order()];
        return accepted;
    }

    /// <inheritdoc/>
    public (IReadOnlyList<Condition> Conditions, Condition Unconditional)? Shown(int count, int height, int width)
    {
        var all = _ofData ?? [.. Enumerable.Range(0, classes)];
        // Of more classes than pictures, an even selection.
        var shown = all.Count > count ? [.. Enumerable.Range(0, count).Select(k => all[(int)((long)k * all.Count / count)])] : all;
        Condition[] each = [.. shown.Select(Of)];
        return ([.. Enumerable.Range(0, count).Select(k => each[k % each.Length])], Of(classes));

        Condition Of(int label) => new(Tensor.From(new long[] { label }).To(device));
    }

    /// <inheritdoc/>
    public Condition Of(TrainingBatch batch, StepSeeds? seeds)
    {
        var given = batch.Samples.Select(static s => (long)s.Label!.Value).ToArray();
        using var generator = seeds?.For(RandomPurpose.Dropout);
        if (generator is null)
            return new Condition(Tensor.From(given).To(device));
        return new Condition(ClassDropout.Apply(Tensor.From(given).To(device), dropout, classes, generator));
    }

    /// <inheritdoc/>
    public void Dispose() { }
}
