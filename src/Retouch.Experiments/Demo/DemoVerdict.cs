using Retouch.Core.Formatting;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Measuring;
using Said = Retouch.Evaluation.Reports.Verdict;
using Shown = Retouch.Evaluation.Statistics.Verdict;

namespace Retouch.Experiments.Demo;

/// <summary>Derives the headline from the intervals; only significant differences are stated.</summary>
public static class DemoVerdict
{
    private const string Second = "spectrum";

    // Spectrum error relative to that of the reconstructions, above which a decoded loss has room for improvement.
    private const double NearCeiling = 1.25;

    /// <summary>Verdict on the arms relative to the diffusion loss only.</summary>
    /// <param name="measured">Measurements of this run.</param>
    public static Said Of(DemoMeasurement measured)
    {
        var result = measured.Arms;
        var differences = result.Sets.Skip(1).Select(set => result.DifferenceOf(set.Name, measured.Decisive)!).ToArray();
        var caution =
            $"Each arm was trained once. The intervals cover the variation between {Figures.Count(result.Sets[0].Count)} sampling seeds, "
            + $"not between trainings; another training seed may change the verdict.";
        var detail = $"{string.Join(" ", differences.Select(d => Numbers(d, result)))} {Before(measured)} {Ceiling(measured)}{caution}";
        if (differences.Any(static d => d.Verdict == Shown.Void))
            return new Said(
                VerdictTone.Unclear,
                $"Too few pictures to judge: the {FigureNames.Header(measured.Decisive)} needs more pictures than features (--samples).",
                detail
            );

        var smallest = result.Protocol.SmallestDifference;
        if (differences.All(d => Math.Abs(d.Value) < smallest * Find(result, d, d.Baseline).Value))
            return new Said(
                VerdictTone.Unclear,
                $"No relevant difference: no arm is {Figures.Percent(smallest)} closer to real pictures, or further from them, than "
                    + $"latent only.",
                detail
            );

        var better = differences.Where(static d => d.Verdict == Shown.Better).OrderBy(static d => d.Value).ToArray();
        var worse = differences.Where(static d => d.Verdict == Shown.Worse).ToArray();
        var open = differences.Except(better).Except(worse).ToArray();
        if (better.Length > 0)
        {
            List<string> parts =
            [
                $"{Join(better, result)} {(better.Length > 1 ? "are" : "is")} closer to real pictures than latent only "
                    + $"after the same number of steps, with one training each",
            ];
            if (worse.Length > 0)
                parts.Add($"{Join(worse, result)} {(worse.Length > 1 ? "are" : "is")} further from them");
            if (open.Length > 0)
                parts.Add($"{string.Join(" and ", open.Select(static d => d.Set))} cannot be distinguished from it");
            return new Said(
                VerdictTone.Better,
                string.Join("; ", parts) + ".",
                (better.Length > 1 ? Between(result, better) + " " : "") + detail
            );
        }

        if (worse.Length == differences.Length)
            return new Said(
                VerdictTone.Worse,
                $"Latent only is best: {Join(worse, result)} are further from real pictures after the same number of steps, "
                    + "with one training each.",
                detail
            );
        if (worse.Length > 0)
            return new Said(
                VerdictTone.Worse,
                $"{Join(worse, result)} is further from real pictures than latent only; {open[0].Set} "
                    + "cannot be distinguished from it.",
                detail
            );
        return new Said(VerdictTone.Unclear, "No arm can be distinguished from latent only: no difference is significant.", detail);
    }

    /// <summary>Note on a ceiling effect, if the diffusion loss only is nearly as good as the autoencoder's reconstructions.</summary>
    private static string Ceiling(DemoMeasurement measured)
    {
        var (ceiling, reached) = (measured.Reconstruction.Of(Second).Value, measured.Arms.Sets[0].Of(Second).Value);
        return reached > NearCeiling * ceiling
            ? ""
            : "The autoencoder limits the possible gain: its reconstructions of real pictures have a spectrum error of "
                + $"{Text(ceiling)}, and latent only has {Text(reached)}. ";
    }

    private static string Numbers(Difference difference, EvaluationResult result)
    {
        var spectrum = result.DifferenceOf(difference.Set, Second)!.Verdict switch
        {
            Shown.Better => "its spectrum is closer to the real one",
            Shown.Worse => "its spectrum is further from the real one",
            _ => "its spectrum is not distinguishable",
        };
        return $"**{difference.Set}**: {FigureNames.Header(difference.Figure)} "
            + $"{Text(Find(result, difference, difference.Set).Value)} against "
            + $"{Text(Find(result, difference, difference.Baseline).Value)}, "
            + $"difference {Text(difference.Value)} [{Text(difference.Interval.Low)}, {Text(difference.Interval.High)}]; {spectrum}.";
    }

    private static string Between(EvaluationResult result, Difference[] better) =>
        Find(result, better[0], better[0].Set).Interval.High < Find(result, better[1], better[1].Set).Interval.Low
            ? $"{better[0].Set} is closest."
            : $"The intervals of {better[0].Set} and {better[1].Set} overlap: their order is not significant.";

    private static string Before(DemoMeasurement measured)
    {
        var result = measured.AgainstBefore;
        var said = result
            .Sets.Skip(1)
            .GroupBy(set => result.DifferenceOf(set.Name, measured.Decisive)!.Verdict)
            .OrderBy(static group => group.Key)
            .Select(static group =>
                $"{string.Join(", ", group.Select(static set => set.Name))} {(group.Key, group.Count() > 1) switch
            {
                (Shown.Better, true) => "are closer",
                (Shown.Better, false) => "is closer",
                (Shown.Worse, true) => "are further away",
                (Shown.Worse, false) => "is further away",
                _ => "cannot be distinguished from it",
            }}"
            );
        return $"Compared with the initial model: {string.Join("; ", said)}.";
    }

    // A significant difference can be small, so the sentence states its size.
    private static string Join(IReadOnlyList<Difference> differences, EvaluationResult result) =>
        string.Join(
            " and ",
            differences.Select(d =>
                $"{d.Set} ({FigureNames.Header(d.Figure)} {Figures.Percent(Math.Abs(d.Value) / Find(result, d, d.Baseline).Value)} "
                + $"{(d.Value < 0 ? "lower" : "higher")})"
            )
        );

    private static Figure Find(EvaluationResult result, Difference of, string set) => result.Sets.First(s => s.Name == set).Of(of.Figure);

    private static string Text(double value) => Figures.Typeset(value, 3);
}
