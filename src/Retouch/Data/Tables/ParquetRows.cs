using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Data.Shards;
using Retouch.Images;

namespace Retouch.Data.Tables;

/// <summary>The rows of several Parquet files, addressed by one index, and their pictures.</summary>
internal sealed partial class ParquetRows
{
    private const string Ending = ".parquet";

    private readonly ParquetTable[] _tables;
    private readonly string[] _names;
    private readonly PictureReading _reading;
    private readonly RowGroupCache _cache;

    // First row of each row group, over all files.
    private readonly List<int> _starts = [];
    private readonly List<(int Table, int Group, int First)> _groups = [];

    private ParquetRows(ParquetTable[] tables, PictureReading reading, RowGroupCache cache)
    {
        (_tables, _reading, _cache) = (tables, reading, cache);
        _names = Array.ConvertAll(tables, static t => System.IO.Path.GetFileName(t.Path));
        // Files of the same name in different folders are distinguished by their full paths.
        if (_names.Distinct(StringComparer.Ordinal).Count() < _names.Length)
            _names = Array.ConvertAll(tables, static t => t.Path);
        for (var table = 0; table < tables.Length; table++)
        {
            for (var (group, first) = (0, 0); group < tables[table].Groups.Count; first += tables[table].Groups[group], group++)
            {
                _starts.Add(Count);
                _groups.Add((table, group, first));
                Count = checked(Count + tables[table].Groups[group]);
            }
        }
    }

    /// <summary>Number of rows.</summary>
    public int Count { get; }

    /// <summary>The files.</summary>
    public IReadOnlyList<ParquetTable> Tables => _tables;

    /// <summary>Description of the files' splits; null without splits.</summary>
    public string? Splits { get; private init; }

    /// <summary>Opens files.</summary>
    /// <param name="names">Names as <see cref="ShardNames.Expand"/> reads them.</param>
    /// <param name="split">Split to read; null for training data, if there are splits, else all files.</param>
    /// <param name="reading">Decoder options.</param>
    /// <param name="cache">Keeps row groups.</param>
    /// <exception cref="InputException">A file is missing or cannot be read, or the split does not exist.</exception>
    public static ParquetRows Open(IReadOnlyList<string> names, DataSplit? split, PictureReading? reading, RowGroupCache cache)
    {
        string[] files =
        [
            .. names.SelectMany(static n => ShardNames.Expand(n, Ending, inSubfolders: true)).Distinct(StringComparer.Ordinal),
        ];
        if (files.Length == 0)
            throw new InputException("No Parquet files were given; give files, or a folder of them.");
        var splits = FolderSplits.Find([.. files.Select(f => SplitPath(f, files))]);
        var chosen = splits.Choose(split ?? DataSplit.Train, isPreference: split is null, string.Join(", ", names.Take(3)));
        // Files of other splits are only counted.
        var all = Array.ConvertAll(files, ParquetTable.Open);
        var described = splits.Any ? splits.Describe(chosen, [.. all.Select(static t => t.Groups.Sum())]) : null;
        var rows = new ParquetRows([.. chosen.Select(k => all[k])], reading ?? PictureReading.Default, cache) { Splits = described };
        return rows.Count > 0 ? rows : throw new InputException($"The files have no rows: {string.Join(", ", names.Take(3))}.");
    }

    /// <summary>Name of a row: its file and its number there, from 0.</summary>
    public string NameOf(int index) =>
        Find(index) is var (table, _, row) ? string.Create(CultureInfo.InvariantCulture, $"{_names[table]}/{row}") : "";

    /// <summary>A row in messages.</summary>
    public string Where(int index) => Find(index) is var (table, _, row) ? ParquetColumns.Row(_tables[table], row) : "";

    /// <summary>Length and modification time of a row's file, and its number.</summary>
    public string Stamp(int index)
    {
        var (table, _, row) = Find(index);
        return new FileInfo(_tables[table].Path) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{file.LastWriteTimeUtc.Ticks}-{row}")
            : "gone";
    }

    /// <summary>Width and height of a picture, after orientation.</summary>
    /// <exception cref="InputException">The row has no picture, or it cannot be read.</exception>
    public (int Width, int Height) SizeOf(int index, string column) =>
        PictureFile.Probe(Bytes(index, column), Name(index, column), _reading) is var info ? (info.Width, info.Height) : default;

    /// <summary>Decodes a picture.</summary>
    /// <exception cref="InputException">The row has no picture, or it cannot be read.</exception>
    public SourcePicture Load(int index, string column, int minSide)
    {
        var loaded = PictureFile.Decode(Bytes(index, column), Name(index, column), _reading with { MinSide = minSide });
        return new SourcePicture(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    private byte[] Bytes(int index, string column)
    {
        var (table, group, row) = Find(index);
        return _cache.Get(_tables[table], column, _groups[group].Group, row - _groups[group].First)
            ?? throw new InputException($"The column '{column}' has no picture in {Where(index)}; remove the row.");
    }

    private string Name(int index, string column) => $"{NameOf(index)} ({column})";

    /// <summary>File, row group over all files, and row of the file.</summary>
    private (int Table, int Group, int Row) Find(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        var at = _starts.BinarySearch(index);
        // Of empty row groups, which start at the same row, the last is the one with rows.
        at = at < 0 ? ~at - 1 : at;
        while (at + 1 < _starts.Count && _starts[at + 1] == _starts[at])
            at++;
        return (_groups[at].Table, at, _groups[at].First + index - _starts[at]);
    }

    /// <summary>
    /// A file as a path whose folders can be splits: its folders below those that all files share, and its name without number, as
    /// <c>train</c> of <c>train-00000-of-00002.parquet</c>.
    /// </summary>
    private static string SplitPath(string file, string[] files)
    {
        var parts = file.Split(System.IO.Path.DirectorySeparatorChar);
        var shared = 0;
        while (shared < parts.Length - 1 && Array.TrueForAll(files, f => IsUnder(f, parts[..(shared + 1)])))
            shared++;
        var stem = Number().Replace(System.IO.Path.GetFileNameWithoutExtension(file), "");
        return string.Join('/', [.. parts[shared..^1], stem, System.IO.Path.GetFileName(file)]);
    }

    private static bool IsUnder(string file, string[] folders) =>
        file.StartsWith(
            string.Join(System.IO.Path.DirectorySeparatorChar, folders) + System.IO.Path.DirectorySeparatorChar,
            StringComparison.Ordinal
        );

    [GeneratedRegex(@"[-_.]\d+([-_.]of[-_.]\d+)?([-_.][0-9a-f]{8,})?$", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Number();
}
