using Retouch.Core.Errors;
using Retouch.Evaluation.Metrics;

namespace Retouch.Evaluation.Measuring;

/// <summary>Checks and limitations that all metrics share.</summary>
internal static class EvaluationChecks
{
    /// <exception cref="UsageException">A reference is missing or unused, or the size of the pictures does not fit.</exception>
    /// <exception cref="InputException">Sets are too small, differ in size, or have no partners.</exception>
    public static void Check(MetricContext context)
    {
        var (reference, metrics) = (context.Reference, context.Metrics);
        if (reference is null && metrics.Any(static m => (m.Needs & (MetricNeeds.Reference | MetricNeeds.Pairs)) != MetricNeeds.None))
            throw new UsageException("The metrics that are asked for compare with real pictures: give them (--reference FOLDER).");
        string[] paired = [.. metrics.Where(static m => m.Needs.HasFlag(MetricNeeds.Pairs)).Select(static m => m.Name)];
        var first = reference ?? context.Sets[0];
        foreach (var set in context.Sets)
        {
            if ((set.Width, set.Height) != (first.Width, first.Height))
            {
                throw new InputException(
                    $"The pictures of '{set.Name}' have {set.Width} x {set.Height} pixels, those of '{first.Name}' {first.Width} "
                        + $"x {first.Height}. Have all resized to one size (--size)."
                );
            }

            if (set.Count < 2)
                throw new InputException($"'{set.Name}' holds one picture; statistics need two or more.");
            if (paired.Length > 0 && !set.PairsWith(reference!))
            {
                throw new InputException(
                    $"{string.Join(", ", paired)} compares pictures of the same name, but those of '{set.Name}' ({set.Count}) and "
                        + $"'{reference!.Name}' ({reference.Count}) differ. Give the originals as the reference, or leave it out."
                );
            }
        }

        if (reference?.Count < 2)
            throw new InputException($"The reference '{reference.Name}' holds one picture; statistics need two or more.");
        foreach (var metric in metrics)
            metric.Check(context);
    }

    /// <summary>Notes of the sets, then the limitations of each metric.</summary>
    public static List<Limitation> Limitations(MetricContext context) =>
        [
            .. context.All.SelectMany(set => set.Notes.Select(note => context.About(set, note))),
            .. context.Metrics.SelectMany(metric => metric.Limitations(context)),
        ];
}
