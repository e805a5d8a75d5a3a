using Retouch.Evaluation;
using Retouch.Reports;
using Retouch.Training.Telemetry;
using Said = Retouch.Reports.Verdict;
using Shown = Retouch.Evaluation.Verdict;

namespace Retouch.Cli.Demo;

/// <summary>Turns intervals into a sentence. What the interval does not show is not said.</summary>
internal static class DemoVerdict
{
    /// <summary>The figure that decides.</summary>
    public const string Decisive = "fwd";

    private const string Second = "spectrum";

    /// <summary>The verdict on the arms beside the latent loss alone.</summary>
    public static Said Of(DemoMeasurement measured)
    {
        var control = measured.Arms.Sets[0];
        var differences = measured.Arms.Sets.Skip(1).Select(set => measured.Arms.DifferenceOf(set.Name, Decisive)!).ToArray();
        var better = differences.Where(static d => d.Verdict == Shown.Better).OrderBy(static d => d.Value).ToArray();
        var worse = differences.Where(static d => d.Verdict == Shown.Worse).ToArray();
        var numbers = string.Join(" ", differences.Select(d => Numbers(d, measured)));
        var caution = $"The intervals hold the chance of which {Figures.Count(control.Count)} seeds were drawn, not that of another training run.";
        var detail = $"{numbers} {Before(measured)} {caution}";
        if (better.Length > 0)
        {
            var names = Join(better);
            var tail = worse.Length > 0 ? $"; {Join(worse)} {(worse.Length > 1 ? "are" : "is")} further off" : "";
            return new Said(
                VerdictTone.Better,
                $"{names} {(better.Length > 1 ? "come" : "comes")} closer to real pictures than the latent loss alone after the same steps{tail}.",
                (better.Length > 1 ? Between(measured, better) + " " : "") + detail);
        }

        if (worse.Length == differences.Length)
            return new Said(VerdictTone.Worse, "The latent loss alone wins: every added loss leaves the pictures further from real ones after the same steps.", detail);
        if (worse.Length > 0)
        {
            var rest = differences.Except(worse).ToArray();
            return new Said(VerdictTone.Worse, $"{Join(worse)} ends further from real pictures than the latent loss alone; {Join(rest)} cannot be told from it.", detail);
        }

        return new Said(VerdictTone.Unclear, "No arm can be told from the latent loss alone: the differences are within what chance would explain.", detail);
    }

    private static string Numbers(Difference difference, DemoMeasurement measured)
    {
        var set = measured.Arms.Sets.First(s => s.Name == difference.Set);
        var control = measured.Arms.Sets[0];
        var spectrum = measured.Arms.DifferenceOf(difference.Set, Second)!;
        var agrees = spectrum.Verdict switch
        {
            Shown.Better => "its spectrum is closer to real ones too" + (difference.Verdict == Shown.Better ? "" : ", though"),
            Shown.Worse => "its spectrum is further off",
            _ => "the error of its spectrum shows no difference",
        };
        return $"**{difference.Set}**: Fréchet wavelet distance {Text(set.Of(Decisive).Value)} against {Text(control.Of(Decisive).Value)}, "
            + $"difference {Text(difference.Value)} [{Text(difference.Interval.Low)}, {Text(difference.Interval.High)}]; {agrees}.";
    }

    private static string Between(DemoMeasurement measured, Difference[] better)
    {
        var figures = better.Select(d => measured.Arms.Sets.First(s => s.Name == d.Set).Of(Decisive)).ToArray();
        return figures[0].Interval.High < figures[1].Interval.Low
            ? $"{better[0].Set} is the closest."
            : $"Between {better[0].Set} and {better[1].Set} the intervals overlap: which of them is closer is not shown.";
    }

    private static string Before(DemoMeasurement measured)
    {
        var said = measured.AgainstBefore.Sets.Skip(1).Select(set => (set.Name, measured.AgainstBefore.DifferenceOf(set.Name, Decisive)!.Verdict))
            .GroupBy(static pair => pair.Verdict).OrderBy(static group => group.Key)
            .Select(static group => $"{string.Join(", ", group.Select(static pair => pair.Name))} {(group.Key, group.Count() > 1) switch
            {
                (Shown.Better, true) => "are closer",
                (Shown.Better, false) => "is closer",
                (Shown.Worse, true) => "are further off",
                (Shown.Worse, false) => "is further off",
                _ => "cannot be told apart from it",
            }}");
        return $"Against the model before post-training: {string.Join("; ", said)}.";
    }

    private static string Join(IReadOnlyList<Difference> differences) => string.Join(" and ", differences.Select(static d => d.Set));

    private static string Text(double value) => Figures.Significant(value, 3);
}
