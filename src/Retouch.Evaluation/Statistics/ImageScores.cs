namespace Retouch.Evaluation.Statistics;

/// <summary>Direction of a figure.</summary>
public enum Preference
{
    /// <summary>Descriptive: neither is better.</summary>
    None,

    /// <summary>Lower is better.</summary>
    Lower,

    /// <summary>Higher is better.</summary>
    Higher,
}

/// <summary>Name and direction of a figure.</summary>
/// <param name="Name">As in tables and JSON: <c>fwd</c>, <c>spectrum.high</c>.</param>
/// <param name="Better">Direction.</param>
public sealed record FigureName(string Name, Preference Better);

/// <summary>
/// Scores of a set: a row of numbers for each picture, and the figures as a function of their mean. Figures of a resample need no second
/// look at the pictures.
/// </summary>
public sealed class ImageScores
{
    private readonly double[] _rows;
    private readonly int _columns;
    private readonly Func<double[], double[]> _figures;

    /// <param name="names">The figures.</param>
    /// <param name="rows">[pictures, columns].</param>
    /// <param name="columns">Numbers of a row.</param>
    /// <param name="figures">Figures of the mean row [columns].</param>
    public ImageScores(IReadOnlyList<FigureName> names, double[] rows, int columns, Func<double[], double[]> figures)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (rows.Length == 0 || rows.Length % columns != 0)
            throw new ArgumentException($"{rows.Length} numbers are no rows of {columns}.", nameof(rows));
        Names = names;
        _rows = rows;
        _columns = columns;
        _figures = figures;
    }

    /// <summary>The figures.</summary>
    public IReadOnlyList<FigureName> Names { get; }

    /// <summary>
    /// Whether the rows are of the reference's pictures, as for recall and coverage.
    /// </summary>
    public bool OfReference { get; init; }

    /// <summary>Limitations of the figures, clauses without the set's name: <c>3 of 8 pictures …</c>.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Figures of the reference itself, where they mean something; null otherwise.</summary>
    public IReadOnlyList<double>? OwnOfReference { get; init; }

    /// <summary>Spectra behind the figures; null where the metric is of none.</summary>
    public MeanSpectra? Spectra { get; init; }

    /// <summary>Number of pictures.</summary>
    public int Count => _rows.Length / _columns;

    /// <summary>Row of a picture.</summary>
    public ReadOnlySpan<double> this[int picture] => _rows.AsSpan(picture * _columns, _columns);

    /// <summary>Scores whose figures are the averages of the columns.</summary>
    /// <param name="names">The figures.</param>
    /// <param name="rows">[pictures, figures].</param>
    public static ImageScores Averages(IReadOnlyList<FigureName> names, double[] rows)
    {
        ArgumentNullException.ThrowIfNull(names);
        return new(names, rows, names.Count, static mean => mean);
    }

    /// <summary>Figures of the set.</summary>
    public double[] Figures()
    {
        var once = new int[Count];
        Array.Fill(once, 1);
        return Figures(once);
    }

    /// <summary>Figures of a resample.</summary>
    /// <param name="times">Multiplicity of each picture.</param>
    public double[] Figures(int[] times)
    {
        ArgumentNullException.ThrowIfNull(times);
        if (times.Length != Count)
            throw new ArgumentException($"{times.Length} counts for {Count} pictures.", nameof(times));
        var sum = new double[_columns];
        long total = 0;
        for (var i = 0; i < times.Length; i++)
        {
            // A picture that was not drawn must not matter, even if its number is infinite.
            if (times[i] == 0)
                continue;
            total += times[i];
            var row = this[i];
            for (var c = 0; c < sum.Length; c++)
                sum[c] += times[i] * row[c];
        }

        for (var c = 0; c < sum.Length; c++)
            sum[c] /= total;
        return _figures(sum);
    }
}
