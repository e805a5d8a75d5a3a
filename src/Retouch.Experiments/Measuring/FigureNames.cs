using Retouch.Core.Formatting;
using Retouch.Evaluation;
using Retouch.Evaluation.Reports;
using Verdict = Retouch.Evaluation.Verdict;

namespace Retouch.Experiments.Measuring;

/// <summary>Figures as columns of report tables: display names, hierarchy, and better direction.</summary>
internal static class FigureNames
{
    /// <summary>Maximum number of figures of a table on a printed page.</summary>
    public const int MostColumns = 7;

    // Suffixes of names: a part of the figure, or the network that it is measured with.
    private static readonly (string Figure, string Said, bool IsPart)[] Parts =
    [
        ("fwd", "wavelets", true),
        ("spectrum", "spectrum", true),
        ("swd", "Wasserstein", true),
        ("fd", "Fréchet distance", false),
        ("kd", "kernel distance", false),
        ("precision", "precision", false),
        ("recall", "recall", false),
        ("density", "density", false),
        ("coverage", "coverage", false),
    ];

    /// <summary>Display name of a figure.</summary>
    public static string Header(string name) =>
        name switch
        {
            "fwd" => "wavelet distance",
            "spectrum" => "spectrum error",
            "swd" => "sliced Wasserstein distance",
            "fid" => "FID",
            _ => Parts.Aggregate(
                name,
                static (said, part) =>
                    said.StartsWith(part.Figure + ".", StringComparison.Ordinal)
                        ? part.IsPart
                            ? $"{part.Said}, {said[(part.Figure.Length + 1)..]}"
                            : $"{part.Said} ({said[(part.Figure.Length + 1)..]})"
                        : said
            ),
        };

    /// <summary>Whether a figure is a part of another: of a frequency band, not of a network.</summary>
    public static bool IsPart(string name) =>
        name.Split('.') is [var whole, _, ..] && Parts.Any(part => part.IsPart && part.Figure == whole);

    /// <summary>A verdict in a table.</summary>
    /// <param name="verdict">The verdict.</param>
    /// <param name="smallest">The smallest difference with a verdict, as a fraction.</param>
    public static string Said(Verdict verdict, double smallest) =>
        verdict switch
        {
            Verdict.Better => "better",
            Verdict.Worse => "worse",
            Verdict.Negligible => $"under {Figures.Percent(smallest)}",
            Verdict.Void => "no verdict: see the warnings",
            _ => "not shown",
        };

    /// <summary>Half the width of an interval.</summary>
    public static double Half(Interval interval) => (interval.High - interval.Low) / 2;

    /// <summary>Better direction of a table column.</summary>
    public static Better Of(Preference preference) =>
        preference switch
        {
            Preference.Lower => Better.Lower,
            Preference.Higher => Better.Higher,
            _ => Better.Neither,
        };
}
