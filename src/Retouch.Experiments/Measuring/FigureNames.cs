using Retouch.Core.Formatting;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Verdict = Retouch.Evaluation.Statistics.Verdict;

namespace Retouch.Experiments.Measuring;

/// <summary>Figures as columns of report tables: display names, hierarchy, and direction.</summary>
public static class FigureNames
{
    /// <summary>Maximum number of figures per table on a printed page.</summary>
    public const int MostColumns = 7;

    /// <summary>Heading of a figure.</summary>
    /// <param name="name">Name of the figure.</param>
    public static string Header(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return (MetricCatalog.Heading(Whole(name)), name.IndexOf('.', StringComparison.Ordinal)) switch
        {
            (null, _) => name,
            ({ } heading, < 0) => heading.Title,
            ({ HasParts: true } heading, var point) => $"{heading.Prefix}, {name[(point + 1)..]}",
            ({ } heading, var point) => $"{heading.Prefix} ({name[(point + 1)..]})",
        };
    }

    /// <summary>Whether a figure is a part of another: of a frequency band, not of a network.</summary>
    /// <param name="name">Name of the figure.</param>
    public static bool IsPart(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name.Contains('.', StringComparison.Ordinal) && MetricCatalog.Heading(Whole(name)) is { HasParts: true };
    }

    /// <summary>Text of a verdict in a table.</summary>
    /// <param name="verdict">Verdict.</param>
    /// <param name="smallest">Smallest relevant difference, as a share.</param>
    public static string Said(Verdict verdict, double smallest) =>
        verdict switch
        {
            Verdict.Better => "better",
            Verdict.Worse => "worse",
            Verdict.Negligible => $"under {Figures.Percent(smallest)}",
            Verdict.Void => "no verdict: see the warnings",
            _ => "not shown",
        };

    /// <summary>Half-width of an interval.</summary>
    public static double Half(Interval interval) => (interval.High - interval.Low) / 2;

    /// <summary>Direction of a table column.</summary>
    public static Better Of(Preference preference) =>
        preference switch
        {
            Preference.Lower => Better.Lower,
            Preference.Higher => Better.Higher,
            _ => Better.Neither,
        };

    private static string Whole(string name) => name.Split('.')[0];
}
