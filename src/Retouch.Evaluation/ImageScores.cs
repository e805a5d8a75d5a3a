namespace Retouch.Evaluation;

/// <summary>Which way of a figure is better.</summary>
public enum Preference
{
    /// <summary>Neither: it describes.</summary>
    None,

    /// <summary>Less is better.</summary>
    Lower,

    /// <summary>More is better.</summary>
    Higher,
}

/// <summary>A figure that a metric gives.</summary>
/// <param name="Name">As in tables and JSON: <c>fwd</c>, <c>spectrum.high</c>.</param>
/// <param name="Better">Which way is better.</param>
public sealed record FigureName(string Name, Preference Better);

/// <summary>
/// What a metric measured on every picture of a set, and how figures of the set follow from the average over pictures. So a figure can be
/// computed anew for any resample without looking at the pictures again.
/// </summary>
public sealed class ImageScores
{
    private readonly double[] rows;
    private readonly int columns;
    private readonly Func<double[], double[]> figures;

    /// <param name="names">The figures.</param>
    /// <param name="rows">[pictures, columns].</param>
    /// <param name="columns">Numbers a picture.</param>
    /// <param name="figures">From the average of the rows [columns] to the figures.</param>
    public ImageScores(IReadOnlyList<FigureName> names, double[] rows, int columns, Func<double[], double[]> figures)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if (rows.Length == 0 || rows.Length % columns != 0)
            throw new ArgumentException($"{rows.Length} numbers are no rows of {columns}.", nameof(rows));
        Names = names;
        this.rows = rows;
        this.columns = columns;
        this.figures = figures;
    }

    /// <summary>The figures.</summary>
    public IReadOnlyList<FigureName> Names { get; }

    /// <summary>
    /// Whether the rows are of the reference's pictures rather than the set's, as where a figure is an average over them.
    /// </summary>
    public bool OfReference { get; init; }

    /// <summary>What limits the figures, in whole sentences without the set's name: <c>3 of 8 pictures …</c>.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Pictures.</summary>
    public int Count => rows.Length / columns;

    /// <summary>What was measured on one picture.</summary>
    public ReadOnlySpan<double> this[int picture] => rows.AsSpan(picture * columns, columns);

    /// <summary>Each picture's row is its own figure, averaged.</summary>
    public static ImageScores Averages(IReadOnlyList<FigureName> names, double[] rows, IReadOnlyList<string>? notes = null)
    {
        ArgumentNullException.ThrowIfNull(names);
        return new(names, rows, names.Count, static mean => mean) { Notes = notes ?? [] };
    }

    /// <summary>The figures of the set.</summary>
    public double[] Figures()
    {
        var once = new int[Count];
        Array.Fill(once, 1);
        return Figures(once);
    }

    /// <summary>The figures of a resample.</summary>
    /// <param name="times">How often each picture is in it.</param>
    public double[] Figures(int[] times)
    {
        ArgumentNullException.ThrowIfNull(times);
        if (times.Length != Count)
            throw new ArgumentException($"{times.Length} counts for {Count} pictures.", nameof(times));
        var sum = new double[columns];
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
        return figures(sum);
    }
}
