namespace Retouch.Evaluation.Reports;

/// <summary>Axis of a chart.</summary>
/// <param name="Label">Quantity and unit.</param>
/// <param name="Log">Logarithmic axis; non-positive values are not drawn, and counted below the chart.</param>
public sealed record ChartAxis(string Label, bool Log = false);

/// <summary>Line of a chart.</summary>
/// <param name="Name">Name of the series; an arm's name selects the arm's colour.</param>
/// <param name="X">Abscissas, ascending.</param>
/// <param name="Y">Ordinates, as many; non-finite values are gaps.</param>
public sealed record ChartSeries(string Name, IReadOnlyList<double> X, IReadOnlyList<double> Y)
{
    /// <summary>Lower bounds of intervals, drawn as a band; requires <see cref="High"/>.</summary>
    public IReadOnlyList<double>? Low { get; init; }

    /// <summary>Upper bounds of intervals.</summary>
    public IReadOnlyList<double>? High { get; init; }

    /// <summary>Whether the series is a reference, drawn dashed in the text's colour.</summary>
    public bool IsReference { get; init; }
}

/// <summary>Line chart.</summary>
/// <param name="Title">Title.</param>
/// <param name="X">Horizontal axis.</param>
/// <param name="Y">Vertical axis.</param>
/// <param name="Series">At least one.</param>
public sealed record LineChart(string Title, ChartAxis X, ChartAxis Y, IReadOnlyList<ChartSeries> Series) : ReportBlock
{
    /// <summary>
    /// Weight of the past in the exponential average, in [0, 1); 0 disables it. Raw values are drawn faintly behind the average.
    /// </summary>
    public double Smoothing { get; init; }

    /// <summary>Whether the series are stacked areas; requires a common X and a linear Y axis.</summary>
    public bool Stacked { get; init; }

    /// <summary>Note below the chart.</summary>
    public string? Note { get; init; }
}

/// <summary>Series of a bar chart.</summary>
/// <param name="Name">Name of the series; an arm's name selects the arm's colour.</param>
/// <param name="Values">One value per category; non-finite values are written instead of drawn.</param>
public sealed record BarSeries(string Name, IReadOnlyList<double> Values)
{
    /// <summary>Half-widths of the confidence intervals, drawn as whiskers.</summary>
    public IReadOnlyList<double>? HalfWidths { get; init; }

    /// <summary>Whether the series is a reference, drawn in the text's colour.</summary>
    public bool IsReference { get; init; }
}

/// <summary>Bar chart, grouped by category, with a zero baseline.</summary>
/// <param name="Title">Title.</param>
/// <param name="Unit">Quantity and unit of the bars.</param>
/// <param name="Categories">At least one.</param>
/// <param name="Series">At least one.</param>
public sealed record BarChart(string Title, string Unit, IReadOnlyList<string> Categories, IReadOnlyList<BarSeries> Series) : ReportBlock
{
    /// <summary>Note below the chart.</summary>
    public string? Note { get; init; }
}

/// <summary>Pictures of one arm.</summary>
/// <param name="Name">Name of the column; an arm's name selects the arm's colour.</param>
/// <param name="Pictures">PNG files, in the order of the samples.</param>
public sealed record PictureColumn(string Name, IReadOnlyList<byte[]> Pictures)
{
    /// <summary>
    /// Addresses of the pictures on the page's server; null to embed them. <see cref="Pictures"/> need only their headers then.
    /// </summary>
    public IReadOnlyList<string>? Links { get; init; }
}

/// <summary>
/// Pictures of several arms side by side. The page shows one sample of all arms enlarged, with a common zoom and position, and thumbnails
/// of all samples below.
/// </summary>
/// <param name="Title">Title.</param>
/// <param name="Samples">Label of each sample, such as its seed or prompt.</param>
/// <param name="Columns">Columns with one picture per sample.</param>
public sealed record PictureGrid(string Title, IReadOnlyList<string> Samples, IReadOnlyList<PictureColumn> Columns) : ReportBlock
{
    /// <summary>Note below the pictures.</summary>
    public string? Note { get; init; }

    /// <summary>Whether the thumbnails are beside the enlarged picture, as a contact sheet, instead of below it.</summary>
    public bool IsSheet { get; init; }
}
