namespace Retouch.Evaluation.Statistics;

/// <summary>Direction of a figure.</summary>
public enum Preference
{
    /// <summary>Descriptive, without a direction.</summary>
    None,

    /// <summary>Lower is better.</summary>
    Lower,

    /// <summary>Higher is better.</summary>
    Higher,
}

/// <summary>Name and direction of a figure.</summary>
/// <param name="Name">Name in tables and JSON: <c>fwd</c>, <c>spectrum.high</c>.</param>
/// <param name="Better">Direction.</param>
public sealed record FigureName(string Name, Preference Better);

/// <summary>
/// Scores of a set: a row of numbers per picture, and the figures as a function of the mean row. Resampled figures are computed from the
/// rows alone.
/// </summary>
public sealed class ImageScores
{
    private readonly double[] _rows;
    private readonly int _columns;
    private readonly Func<double[], double[]> _figures;

    /// <param name="names">Names of the figures.</param>
    /// <param name="rows">[pictures, columns].</param>
    /// <param name="columns">Numbers per row.</param>
    /// <param name="figures">Figures as a function of the mean row [columns].</param>
    public ImageScores(IReadOnlyList<FigureName> names, double[] rows, int columns, Func<double[], double[]> figures)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (rows.Length == 0 || rows.Length % columns != 0)
            throw new ArgumentException($"{rows.Length} numbers do not form rows of {columns}.", nameof(rows));
        Names = names;
        _rows = rows;
        _columns = columns;
        _figures = figures;
    }

    /// <summary>Names of the figures.</summary>
    public IReadOnlyList<FigureName> Names { get; }

    /// <summary>
    /// Whether the rows belong to the reference's pictures, as for recall and coverage.
    /// </summary>
    public bool OfReference { get; init; }

    /// <summary>Limitations of the figures as clauses without the set's name: <c>3 of 8 pictures …</c>.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Figures of the reference itself, or null if not meaningful.</summary>
    public IReadOnlyList<double>? OwnOfReference { get; init; }

    /// <summary>Spectra that the figures are derived from, or null.</summary>
    public MeanSpectra? Spectra { get; init; }

    /// <summary>Number of pictures.</summary>
    public int Count => _rows.Length / _columns;

    /// <summary>Row of one picture.</summary>
    public ReadOnlySpan<double> this[int picture] => _rows.AsSpan(picture * _columns, _columns);

    /// <summary>Scores whose figures are the column means.</summary>
    /// <param name="names">Names of the figures.</param>
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
    /// <param name="times">Multiplicity of each picture in the resample.</param>
    public double[] Figures(int[] times)
    {
        ArgumentNullException.ThrowIfNull(times);
        if (times.Length != Count)
            throw new ArgumentException($"{times.Length} counts for {Count} pictures.", nameof(times));
        var sum = new double[_columns];
        long total = 0;
        for (var i = 0; i < times.Length; i++)
        {
            // Multiplicity 0 must exclude a picture even if its value is infinite.
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
