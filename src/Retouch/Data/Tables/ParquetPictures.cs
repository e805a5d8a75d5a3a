using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data.Tables;

/// <summary>
/// Pictures in Parquet files, as the <c>datasets</c> library writes them: a column of pictures (binary, or a struct with <c>bytes</c>),
/// and optional columns of captions and of class labels, whose names are in the files' metadata. Captions and labels are read on opening,
/// row groups of pictures on demand. A row without a picture is an unreadable picture.
/// </summary>
public sealed class ParquetPictures : IPictureSource
{
    private readonly ParquetRows _rows;
    private readonly string _column;
    private readonly FolderLabels _labels;
    private readonly IReadOnlyList<string>[] _captions;

    private ParquetPictures(ParquetRows rows, ParquetColumns given)
    {
        _rows = rows;
        var columns = given.In(rows.Tables[0]);
        (_column, _captions) = (columns.Image!, new IReadOnlyList<string>[rows.Count]);
        var labels = new object?[rows.Count];
        var first = 0;
        foreach (var table in rows.Tables)
        {
            var own = given.In(table);
            if (own != columns)
                throw new InputException(
                    $"'{table.Path}' has other columns than '{rows.Tables[0].Path}': {Described(own)}, not "
                        + $"{Described(columns)}. Give files of one data set, or name the columns with data.columns."
                );
            if (columns.Label is { } label && !NamesOf(table, label).SequenceEqual(NamesOf(rows.Tables[0], label)))
                throw new InputException($"'{table.Path}' has other class names than '{rows.Tables[0].Path}'; give files of one data set.");
            if (!table.HasBytes(_column))
                throw new InputException(
                    $"The column '{_column}' of '{table.Path}' does not contain pictures, as bytes or as a struct of bytes."
                );
            var count = table.Groups.Sum();
            own.CaptionsOf(table, count).CopyTo(_captions, first);
            own.LabelsOf(table, count).CopyTo(labels, first);
            first += count;
        }

        _labels = FolderLabels.Assign([.. labels.Select(static _ => "")], labels);
        Notes = [.. Describe(rows, columns)];
    }

    /// <inheritdoc/>
    public int Count => _rows.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _labels.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _labels.AreNumbers;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes { get; }

    /// <inheritdoc/>
    public Sample this[int index] => Sample.Of(_rows.NameOf(index), _labels.Labels[index], _captions[index]);

    /// <summary>Opens files; pictures are read on demand.</summary>
    /// <param name="files">Files, folders (their *.parquet, else those of their subfolders), or patterns such as
    /// <c>data/train-*.parquet</c>.</param>
    /// <param name="split">Split of files named <c>train-…</c>, <c>validation-…</c> or <c>test-…</c>, or in folders of such names; null
    /// for training data, if there are splits, else all files.</param>
    /// <param name="columns">Columns; null for the usual ones.</param>
    /// <param name="reading">Decoder options; <see cref="PictureReading.MinSide"/> is set by each <see cref="Load"/> call.</param>
    /// <param name="cacheBytes">Maximum size of the row groups in memory.</param>
    /// <exception cref="InputException">A file or column is missing or cannot be read.</exception>
    public static ParquetPictures Open(
        IReadOnlyList<string> files,
        DataSplit? split = null,
        ParquetColumns? columns = null,
        PictureReading? reading = null,
        long cacheBytes = 1L << 30
    )
    {
        ArgumentNullException.ThrowIfNull(files);
        return new(ParquetRows.Open(files, split, reading, new RowGroupCache(cacheBytes)), columns ?? new());
    }

    /// <inheritdoc/>
    public string Stamp(int index) => _rows.Stamp(index);

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) => _rows.SizeOf(index, _column);

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => _rows.Load(index, _column, minSide);

    private IEnumerable<string> Describe(ParquetRows rows, ParquetColumns columns)
    {
        yield return $"In the Parquet files, {Described(columns)}.";
        if (rows.Splits is { } splits)
            yield return $"The Parquet {splits}.";
        if (FolderNotes.SeveralCaptions(_captions) is { } several)
            yield return $"In the Parquet files, {several}.";
    }

    private static string Described(ParquetColumns columns) =>
        $"pictures are in column {columns.Image}, captions {(columns.Caption is { } c ? $"in {c}" : "in none")} and labels "
        + (columns.Label is { } l ? $"in {l}" : "in none");

    private static IReadOnlyList<string> NamesOf(ParquetTable table, string label) => table.Features.Classes.GetValueOrDefault(label) ?? [];
}
