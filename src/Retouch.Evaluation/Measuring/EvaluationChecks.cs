using Retouch.Core.Errors;
using Retouch.Evaluation.Metrics;

namespace Retouch.Evaluation.Measuring;

/// <summary>Checks and limitations common to all metrics.</summary>
internal static class EvaluationChecks
{
    /// <exception cref="UsageException">The reference is unused, or the size of the pictures is unsuitable.</exception>
    /// <exception cref="InputException">Sets are too small, differ in size, or have no partners.</exception>
    public static void Check(MetricContext context)
    {
        var (reference, metrics) = (context.Reference, context.Metrics);
        string[] paired = [.. metrics.Where(static m => m.Needs.HasFlag(MetricNeeds.Pairs)).Select(static m => m.Name)];
        var first = reference ?? context.Sets[0];
        foreach (var set in context.Sets)
        {
            if ((set.Width, set.Height) != (first.Width, first.Height))
            {
                throw new InputException(
                    $"The pictures of '{set.Name}' have {set.Width} x {set.Height} pixels, those of '{first.Name}' {first.Width} "
                        + $"x {first.Height}. Resize all to one size with --size."
                );
            }

            if (set.Count < 2)
                throw new InputException($"'{set.Name}' contains one picture; statistics need at least two.");
            if (paired.Length > 0 && !set.PairsWith(reference!))
            {
                throw new InputException(
                    $"{string.Join(", ", paired)} compares pictures of the same name, but those of '{set.Name}' ({set.Count}) and "
                        + $"'{reference!.Name}' ({reference.Count}) differ. Give the originals as the reference, or omit the metric."
                );
            }
        }

        if (reference?.Count < 2)
            throw new InputException($"The reference '{reference.Name}' contains one picture; statistics need at least two.");
        foreach (var metric in metrics)
            metric.Check(context);
    }

    /// <summary>Remarks of the sets, then the limitations of each metric.</summary>
    public static List<Limitation> Limitations(MetricContext context) =>
        [
            .. context.All.SelectMany(set => set.Notes.Select(note => context.About(set, note))),
            .. context.Metrics.SelectMany(metric => metric.Limitations(context)),
        ];
}
