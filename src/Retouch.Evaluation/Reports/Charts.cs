namespace Retouch.Evaluation.Reports;

/// <summary>An axis.</summary>
/// <param name="Label">What is drawn along it, with its unit.</param>
/// <param name="Log">Decades at equal distances; values that are not positive cannot be drawn and are counted under the chart.</param>
public sealed record ChartAxis(string Label, bool Log = false);

/// <summary>One line of a chart.</summary>
/// <param name="Name">An arm's name brings the arm's colour.</param>
/// <param name="X">Ascending.</param>
/// <param name="Y">As many; what is not finite leaves a gap.</param>
public sealed record ChartSeries(string Name, IReadOnlyList<double> X, IReadOnlyList<double> Y)
{
    /// <summary>Lower end of an interval around each value, drawn as a band; given together with <see cref="High"/>.</summary>
    public IReadOnlyList<double>? Low { get; init; }

    /// <summary>Upper end of the interval.</summary>
    public IReadOnlyList<double>? High { get; init; }

    /// <summary>A yardstick: drawn dashed in the text's colour.</summary>
    public bool IsReference { get; init; }
}

/// <summary>Lines over a common axis.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="X">The horizontal axis.</param>
/// <param name="Y">The vertical axis.</param>
/// <param name="Series">At least one.</param>
public sealed record LineChart(string Title, ChartAxis X, ChartAxis Y, IReadOnlyList<ChartSeries> Series) : ReportBlock
{
    /// <summary>
    /// Weight of the past in an exponential average, 0 (none) to below 1; the values themselves stay visible behind it, faint.
    /// </summary>
    public double Smoothing { get; init; }

    /// <summary>Draws the series as areas on top of each other; they must share their X, and the Y axis is linear.</summary>
    public bool Stacked { get; init; }

    /// <summary>What a reader must know to read it.</summary>
    public string? Note { get; init; }
}

/// <summary>One colour of bars.</summary>
/// <param name="Name">An arm's name brings the arm's colour.</param>
/// <param name="Values">One per category; what is not finite is named, not drawn.</param>
public sealed record BarSeries(string Name, IReadOnlyList<double> Values)
{
    /// <summary>Half the widths of the confidence intervals, drawn as whiskers.</summary>
    public IReadOnlyList<double>? HalfWidths { get; init; }

    /// <summary>A yardstick: drawn in the text's colour.</summary>
    public bool IsReference { get; init; }
}

/// <summary>Bars grouped by category, from zero.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Unit">What the lengths are.</param>
/// <param name="Categories">At least one.</param>
/// <param name="Series">At least one.</param>
public sealed record BarChart(string Title, string Unit, IReadOnlyList<string> Categories, IReadOnlyList<BarSeries> Series) : ReportBlock
{
    /// <summary>What a reader must know to read it.</summary>
    public string? Note { get; init; }
}

/// <summary>The pictures of one arm.</summary>
/// <param name="Name">An arm's name brings the arm's colour.</param>
/// <param name="Pictures">Encoded as PNG, in the order of the samples.</param>
public sealed record PictureColumn(string Name, IReadOnlyList<byte[]> Pictures);

/// <summary>
/// Pictures of several arms side by side, sample for sample. The page shows one sample of all arms large, zoomed at the same place in all
/// of them, and all samples small below.
/// </summary>
/// <param name="Title">What it shows.</param>
/// <param name="Samples">What each sample is: its seed, its prompt.</param>
/// <param name="Columns">Each with one picture per sample.</param>
public sealed record PictureGrid(string Title, IReadOnlyList<string> Samples, IReadOnlyList<PictureColumn> Columns) : ReportBlock
{
    /// <summary>What a reader must know to judge them.</summary>
    public string? Note { get; init; }
}
