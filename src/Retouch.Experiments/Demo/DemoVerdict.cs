using Retouch.Core.Formatting;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Measuring;
using Said = Retouch.Evaluation.Reports.Verdict;
using Shown = Retouch.Evaluation.Statistics.Verdict;

namespace Retouch.Experiments.Demo;

/// <summary>Turns intervals into a sentence. What the interval does not show is not said.</summary>
public static class DemoVerdict
{
    private const string Second = "spectrum";

    // Above this times the reconstructions' error there is room for a decoded loss to show.
    private const double NearCeiling = 1.25;

    /// <summary>The verdict on the arms beside the latent loss alone.</summary>
    /// <param name="measured">The figures of this run.</param>
    public static Said Of(DemoMeasurement measured)
    {
        var result = measured.Arms;
        var differences = result.Sets.Skip(1).Select(set => result.DifferenceOf(set.Name, measured.Decisive)!).ToArray();
        var caution =
            $"Each arm was trained once. The intervals hold the chance of which {Figures.Count(result.Sets[0].Count)} seeds were drawn, "
            + $"not that of another training, which may turn the verdict.";
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
                $"The arms end alike: none is {Figures.Percent(smallest)} closer to real pictures, or further off, than the "
                    + $"latent loss alone.",
                detail
            );

        var better = differences.Where(static d => d.Verdict == Shown.Better).OrderBy(static d => d.Value).ToArray();
        var worse = differences.Where(static d => d.Verdict == Shown.Worse).ToArray();
        var open = differences.Except(better).Except(worse).ToArray();
        if (better.Length > 0)
        {
            List<string> parts =
            [
                $"{Join(better, result)} {(better.Length > 1 ? "come" : "comes")} closer to real pictures than the latent loss "
                    + $"alone after the same steps, in this one training of each",
            ];
            if (worse.Length > 0)
                parts.Add($"{Join(worse, result)} {(worse.Length > 1 ? "end" : "ends")} further off");
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
                $"The latent loss alone wins: {Join(worse, result)} end further from real pictures after the same steps, "
                    + "in this one training of each.",
                detail
            );
        if (worse.Length > 0)
            return new Said(
                VerdictTone.Worse,
                $"{Join(worse, result)} ends further from real pictures than the latent loss alone; {open[0].Set} "
                    + "cannot be distinguished from it.",
                detail
            );
        return new Said(
            VerdictTone.Unclear,
            "No arm can be distinguished from the latent loss alone: the differences are within what chance would explain.",
            detail
        );
    }

    /// <summary>That the autoencoder leaves little to gain, where the latent loss alone is nearly as good as its reconstructions.</summary>
    private static string Ceiling(DemoMeasurement measured)
    {
        var (ceiling, reached) = (measured.Reconstruction.Of(Second).Value, measured.Arms.Sets[0].Of(Second).Value);
        return reached > NearCeiling * ceiling
            ? ""
            : "The autoencoder leaves little detail to gain: it reconstructs real pictures with a spectrum error of "
                + $"{Text(ceiling)}, and the latent loss alone reaches {Text(reached)}. ";
    }

    private static string Numbers(Difference difference, EvaluationResult result)
    {
        var spectrum = result.DifferenceOf(difference.Set, Second)!.Verdict switch
        {
            Shown.Better => "its spectrum is closer to the real one",
            Shown.Worse => "its spectrum is further from the real one",
            _ => "for its spectrum no difference is shown",
        };
        return $"**{difference.Set}**: {FigureNames.Header(difference.Figure)} "
            + $"{Text(Find(result, difference, difference.Set).Value)} against "
            + $"{Text(Find(result, difference, difference.Baseline).Value)}, "
            + $"difference {Text(difference.Value)} [{Text(difference.Interval.Low)}, {Text(difference.Interval.High)}]; {spectrum}.";
    }

    private static string Between(EvaluationResult result, Difference[] better) =>
        Find(result, better[0], better[0].Set).Interval.High < Find(result, better[1], better[1].Set).Interval.Low
            ? $"{better[0].Set} is the closest."
            : $"The intervals of {better[0].Set} and {better[1].Set} overlap: which of the two is closer is not shown.";

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
                (Shown.Worse, true) => "are further off",
                (Shown.Worse, false) => "is further off",
                _ => "cannot be distinguished from it",
            }}"
            );
        return $"Against the model before post-training: {string.Join("; ", said)}.";
    }

    // A difference that the intervals show can still be a small one: its size is part of the sentence.
    private static string Join(IReadOnlyList<Difference> differences, EvaluationResult result) =>
        string.Join(
            " and ",
            differences.Select(d =>
                $"{d.Set} ({FigureNames.Header(d.Figure)} {Figures.Percent(Math.Abs(d.Value) / Find(result, d, d.Baseline).Value)} "
                + $"{(d.Value < 0 ? "lower" : "higher")})"
            )
        );

    private static Figure Find(EvaluationResult result, Difference of, string set) => result.Sets.First(s => s.Name == set).Of(of.Figure);

    private static string Text(double value) => Figures.Significant(value, 3);
}
