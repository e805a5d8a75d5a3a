using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data.Tables;
using Retouch.Images;

namespace Retouch.Data.Pairs;

/// <summary>
/// Preference pairs in Parquet files with the columns of Pick-a-Pic (Kirstain et al. 2023): pictures <c>jpg_0</c> and <c>jpg_1</c> (or
/// <c>image_0</c> and <c>image_1</c>), <c>label_0</c> with 1 if the first wins, 0 if the second does and ½ for a tie, and a caption. If
/// pictures have names, in <c>image_0_uid</c> and <c>image_1_uid</c>, contradictions are found by them.
/// </summary>
public sealed class ParquetPairs : IPairSource
{
    private const string Label = "label_0";

    private readonly ParquetRows _rows;
    private readonly (int Row, bool IsSecond)[] _pairs;
    private readonly string[] _columns;
    private readonly IReadOnlyList<string>[] _captions;
    private readonly FolderLabels _labels;

    private ParquetPairs(ParquetRows rows, PairConflicts conflicts, string origin)
    {
        _rows = rows;
        _columns = ColumnsOf(rows.Tables[0]);
        _captions = new IReadOnlyList<string>[rows.Count];
        var classes = new object?[rows.Count];
        List<ListedPair> found = [];
        Dictionary<ListedPair, (int Row, bool IsSecond)> places = new(ReferenceEqualityComparer.Instance);
        var (first, ties) = (0, 0);
        foreach (var table in rows.Tables)
        {
            if (!ColumnsOf(table).SequenceEqual(_columns))
                throw new InputException($"'{table.Path}' has other columns than '{rows.Tables[0].Path}'; give files of one data set.");
            var count = table.Groups.Sum();
            var columns = new ParquetColumns { Image = _columns[0] }.In(table);
            columns.CaptionsOf(table, count).CopyTo(_captions, first);
            columns.LabelsOf(table, count).CopyTo(classes, first);
            var labels = table.Numbers(Label);
            var others = table.Columns.Contains("label_1", StringComparer.Ordinal) ? table.Numbers("label_1") : null;
            var names = NamesOf(table);
            for (var k = 0; k < count; k++)
            {
                if (Winner(labels[k], others?[k], table, k) is not { } winner)
                {
                    ties++;
                    if (conflicts == PairConflicts.Refuse)
                        throw new InputException($"There is a tie in {ParquetColumns.Row(table, k)}; remove the row, or skip conflicts.");
                    continue;
                }

                var row = first + k;
                string NameOf(int side) => names?[side][k] is [var name] ? name : $"{rows.NameOf(row)}/{_columns[side]}";
                var pair = new ListedPair(
                    NameOf(winner),
                    NameOf(1 - winner),
                    _captions[row].Count > 0 ? _captions[row][0] : null,
                    classes[row],
                    ParquetColumns.Row(table, k)
                );
                found.Add(pair);
                places.Add(pair, (row, winner == 1));
            }

            first += count;
        }

        var list = PairList.Of(origin, found, rows.Count, ties, conflicts, $"The column '{Label}' is 1 or 0 where a picture wins.");
        (_pairs, Report) = ([.. list.Pairs.Select(p => places[p])], list.Report);
        _labels = FolderLabels.Assign([.. list.Pairs.Select(static _ => "")], [.. list.Pairs.Select(static p => p.Label)]);
        Notes = [.. rows.Splits is { } splits ? [$"The Parquet {splits}."] : Array.Empty<string>(), Report.Describe("rows", conflicts)];
    }

    /// <inheritdoc/>
    public int Count => _pairs.Length;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _labels.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _labels.AreNumbers;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes { get; }

    /// <summary>Statistics of the pairs.</summary>
    public PairReport Report { get; }

    /// <inheritdoc/>
    public Sample this[int index] => SampleOf(index, isLoser: false);

    /// <summary>Opens files; pictures are read on demand.</summary>
    /// <param name="path">A file, a folder or a pattern, as <see cref="ParquetPictures.Open"/> takes them; of a data set with splits, the
    /// training data.</param>
    /// <param name="conflicts">Handling of ties and contradictions.</param>
    /// <param name="reading">Decoder options.</param>
    /// <exception cref="InputException">A file or column is missing or cannot be read, a label is not 1, 0 or ½, or no pair
    /// remains.</exception>
    public static ParquetPairs Open(string path, PairConflicts conflicts = PairConflicts.Skip, PictureReading? reading = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new(ParquetRows.Open([path], null, reading, new RowGroupCache(RowGroupCache.DefaultBytes)), conflicts, path);
    }

    /// <inheritdoc/>
    public Sample Loser(int index) => SampleOf(index, isLoser: true);

    /// <inheritdoc/>
    public string Stamp(int index) => _rows.Stamp(_pairs[index].Row);

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) => _rows.SizeOf(_pairs[index].Row, ColumnOf(index, isLoser: false));

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => _rows.Load(_pairs[index].Row, ColumnOf(index, isLoser: false), minSide);

    /// <inheritdoc/>
    public SourcePicture LoadLoser(int index, int minSide = 0) => _rows.Load(_pairs[index].Row, ColumnOf(index, isLoser: true), minSide);

    private string ColumnOf(int index, bool isLoser) => _columns[_pairs[index].IsSecond != isLoser ? 1 : 0];

    private Sample SampleOf(int index, bool isLoser) =>
        Sample.Of($"{_rows.NameOf(_pairs[index].Row)}/{ColumnOf(index, isLoser)}", _labels.Labels[index], _captions[_pairs[index].Row]);

    /// <summary>0 or 1 for the winner, null for a tie.</summary>
    private static int? Winner(double? first, double? second, ParquetTable table, int row)
    {
        if (first is not (>= 0 and <= 1))
            throw new InputException(
                $"The column '{Label}' is {(first is { } x ? Figures.Significant(x) : "empty")} in {ParquetColumns.Row(table, row)}; it "
                    + "must be 1 if the first picture wins, 0 if the second does, 0.5 for a tie."
            );
        if (second is { } other && Math.Abs(first.Value + other - 1) > 1e-6)
            throw new InputException(
                $"'{Label}' and 'label_1' are {Figures.Significant(first.Value)} and {Figures.Significant(other)} in "
                    + $"{ParquetColumns.Row(table, row)}; they must add up to 1."
            );
        return first == 0.5 ? null
            : first > 0.5 ? 0
            : 1;
    }

    private static string[] ColumnsOf(ParquetTable table)
    {
        foreach (var kind in (string[])["jpg", "image"])
        {
            string[] names = [$"{kind}_0", $"{kind}_1"];
            if (Array.TrueForAll(names, table.HasBytes) && table.Columns.Contains(Label, StringComparer.Ordinal))
                return names;
        }

        throw new InputException(
            $"'{table.Path}' does not contain pairs: two columns of pictures, jpg_0 and jpg_1 (or image_0 and image_1), and '{Label}' are "
                + $"needed; its columns are {string.Join(", ", table.Columns)}."
        );
    }

    private static IReadOnlyList<string>[][]? NamesOf(ParquetTable table)
    {
        string[] columns = ["image_0_uid", "image_1_uid"];
        return Array.TrueForAll(columns, table.HasText) ? Array.ConvertAll(columns, table.Texts) : null;
    }
}
