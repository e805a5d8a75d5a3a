using System.Text;
using System.Text.Json;
using Parquet;
using Parquet.Schema;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Data.Tables;

/// <summary>
/// A Parquet file: its footer is read on opening, a column of a row group on demand. Thread-safe. A corrupt file, and one with features
/// that the reader does not support, is an error with the file's name.
/// </summary>
internal sealed class ParquetTable
{
    // The number of an I/O exception that is not of the operating system.
    private const int OwnFailure = unchecked((int)0x80131620);

    private readonly ParquetSchema _schema;

    private ParquetTable(string path, ParquetSchema schema, int[] groups, HuggingFaceFeatures features)
    {
        (Path, _schema, Groups, Features) = (path, schema, groups, features);
        Columns = [.. schema.Fields.Select(static f => f.Name)];
    }

    /// <summary>File path.</summary>
    public string Path { get; }

    /// <summary>Number of rows of each row group.</summary>
    public IReadOnlyList<int> Groups { get; }

    /// <summary>Names of the columns.</summary>
    public IReadOnlyList<string> Columns { get; }

    /// <summary>Description of the columns by the <c>datasets</c> library.</summary>
    public HuggingFaceFeatures Features { get; }

    /// <summary>Reads the footer of a file.</summary>
    /// <exception cref="InputException">The file cannot be read or is not a Parquet file.</exception>
    public static ParquetTable Open(string path) =>
        Reading(
            path,
            (reader, guard) =>
            {
                long[] groups = [.. reader.RowGroups.Select(static g => g.RowCount)];
                var most = Math.Min(guard.MostRows, int.MaxValue);
                if (Array.Exists(groups, rows => rows < 0 || rows > most) || groups.Sum() > most)
                    throw new TableFaultException("is corrupt: it claims more rows than it has bytes");
                var features =
                    reader.CustomMetadata.TryGetValue(HuggingFaceFeatures.Key, out var text) && text is not null
                        ? HuggingFaceFeatures.Parse(text)
                        : HuggingFaceFeatures.None;
                return new ParquetTable(path, reader.Schema, [.. groups.Select(static r => (int)r)], features);
            }
        );

    /// <summary>Whether a column contains pictures: binary, or a struct with <c>bytes</c>, as <c>datasets</c> stores them.</summary>
    public bool HasBytes(string column) => BytesOf(column) is not null;

    /// <summary>Values of a column of pictures in a row group; null for rows without.</summary>
    /// <exception cref="InputException">The column cannot be read.</exception>
    public byte[]?[] Bytes(string column, int group)
    {
        var field = BytesOf(column) ?? throw Wrong(column, "pictures");
        var (values, rows) = Reading(Path, (reader, guard) => Read<ReadOnlyMemory<byte>>(reader, guard, field, group));
        return [.. rows.Select(r => r is [var k] ? values[k].ToArray() : null)];
    }

    /// <summary>Texts of a column of text, or of lists of text, in all rows.</summary>
    /// <exception cref="InputException">The column has another type or cannot be read.</exception>
    public IReadOnlyList<string>[] Texts(string column)
    {
        var field = Leaf(column);
        return field?.ClrType == typeof(ReadOnlyMemory<char>)
                ? Values<ReadOnlyMemory<char>, IReadOnlyList<string>>(field, static v => [.. v.Select(static x => x.ToString())])
            : field?.ClrType == typeof(ReadOnlyMemory<byte>)
                ? Values<ReadOnlyMemory<byte>, IReadOnlyList<string>>(field, v => [.. v.Select(x => Decode(x, column))])
            : throw Wrong(column, "text");
    }

    /// <summary>Whether a column contains text.</summary>
    public bool HasText(string column) =>
        Leaf(column)?.ClrType is { } type && (type == typeof(ReadOnlyMemory<char>) || type == typeof(ReadOnlyMemory<byte>));

    /// <summary>Numbers of a column in all rows; null for rows without.</summary>
    /// <exception cref="InputException">The column has another type or cannot be read.</exception>
    public double?[] Numbers(string column)
    {
        var field = Leaf(column);
        if (field is null || field.MaxRepetitionLevel > 0)
            throw Wrong(column, "numbers");
        double?[] Of<T>(Func<T, double> convert)
            where T : struct => Values<T, double?>(field, v => v is [var x] ? convert(x) : null);
        return Type.GetTypeCode(field.ClrType) switch
        {
            TypeCode.Byte => Of<byte>(static x => x),
            TypeCode.SByte => Of<sbyte>(static x => x),
            TypeCode.Int16 => Of<short>(static x => x),
            TypeCode.UInt16 => Of<ushort>(static x => x),
            TypeCode.Int32 => Of<int>(static x => x),
            TypeCode.UInt32 => Of<uint>(static x => x),
            TypeCode.Int64 => Of<long>(static x => x),
            TypeCode.Single => Of<float>(static x => x),
            TypeCode.Double => Of<double>(static x => x),
            TypeCode.Boolean => Of<bool>(static x => x ? 1 : 0),
            _ => throw Wrong(column, "numbers"),
        };
    }

    private DataField? BytesOf(string column) =>
        (
            _schema.Fields.FirstOrDefault(f => f.Name == column) is StructField pictures
                ? pictures.Fields.FirstOrDefault(static f => f.Name == "bytes") as DataField
                : Leaf(column)
        )
            is { MaxRepetitionLevel: 0 } field
        && field.ClrType == typeof(ReadOnlyMemory<byte>)
            ? field
            : null;

    /// <summary>The values of a column, or of its lists; null if it is missing or has several parts.</summary>
    private DataField? Leaf(string column) =>
        _schema.Fields.FirstOrDefault(f => f.Name == column) switch
        {
            DataField data => data,
            ListField { Item: DataField item } => item,
            _ => null,
        };

    private TRow[] Values<T, TRow>(DataField field, Func<T[], TRow> row)
        where T : struct
    {
        var all = new List<TRow>(Groups.Sum());
        Reading(
            Path,
            (reader, guard) =>
            {
                for (var group = 0; group < Groups.Count; group++)
                {
                    var (values, rows) = Read<T>(reader, guard, field, group);
                    all.AddRange(rows.Select(r => row(Array.ConvertAll(r, k => values[k]))));
                }

                return all.Count;
            }
        );
        return [.. all];
    }

    /// <summary>Defined values of a column in a row group, and for each row the indices of its values.</summary>
    private (T[] Values, int[][] Rows) Read<T>(ParquetReader reader, TableGuard guard, DataField field, int group)
        where T : struct
    {
        using var rows = reader.OpenRowGroupReader(group);
        var chunk =
            rows.GetMetadata(field)?.MetaData ?? throw new TableFaultException($"is corrupt: row group {group} has no '{field.Path}'");
        var (count, isList) = (chunk.NumValues, field.MaxRepetitionLevel > 0);
        if (rows.RowCount != Groups[group] || (isList ? count < Groups[group] : count != Groups[group]))
            throw new TableFaultException($"is corrupt: row group {group} does not have a '{field.Path}' for each row");
        guard.Open(field, chunk);
        var values = new T[count];
        var (definitions, repetitions) = (new int[count], new int[count]);
        rows.ReadRawAsync<T>(field, values, definitions, repetitions).AsTask().GetAwaiter().GetResult();
        var found = new List<int[]>(Groups[group]);
        var own = new List<int>();
        var next = 0;
        for (var k = 0; k < count; k++)
        {
            if (k > 0 && (!isList || repetitions[k] == 0))
            {
                found.Add([.. own]);
                own.Clear();
            }

            if (field.MaxDefinitionLevel == 0 || definitions[k] == field.MaxDefinitionLevel)
                own.Add(next++);
        }

        if (count > 0)
            found.Add([.. own]);
        return found.Count == Groups[group]
            ? (values, [.. found])
            : throw new TableFaultException($"is corrupt: row group {group} does not have a '{field.Path}' for each row");
    }

    private string Decode(ReadOnlyMemory<byte> bytes, string column)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes.Span);
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"The column '{column}' of '{Path}' contains a value that is not text: {Reasons.Of(e)}.", e);
        }
    }

    private InputException Wrong(string column, string what) =>
        new(
            Columns.Contains(column, StringComparer.Ordinal)
                ? $"The column '{column}' of '{Path}' does not contain {what}."
                : $"'{Path}' has no column '{column}'; its columns are {string.Join(", ", Columns)}."
        );

    private static TResult Reading<TResult>(string path, Func<ParquetReader, TableGuard, TResult> read)
    {
        // The reader is asynchronous without need: files are read by blocking calls.
        try
        {
            using var stream = new BoundedStream(File.OpenRead(path), (8 * new FileInfo(path).Length) + (1 << 16));
            var guard = TableGuard.Of(stream);
            var reader = ParquetReader.CreateAsync(stream, leaveStreamOpen: true).GetAwaiter().GetResult();
            try
            {
                return read(reader, guard);
            }
            finally
            {
                reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"There is no file '{path}'; check the path.", e);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException { HResult: not OwnFailure } and not EndOfStreamException)
        {
            throw new InputException($"Cannot read '{path}': {Reasons.Of(e)}.", e);
        }
        catch (JsonException e)
        {
            throw new InputException($"The description of the columns in '{path}' ('{HuggingFaceFeatures.Key}') is not JSON.", e);
        }
        catch (NotSupportedException e)
        {
            throw new InputException(
                $"The Parquet file '{path}' uses a feature that is not supported. Write it again with default settings.",
                e
            );
        }
        catch (TableFaultException e)
        {
            throw new InputException($"'{path}' {e.Message}. Download or create it again.", e);
        }
        // The library reports corrupt files by exceptions of many types.
        catch (Exception e) when (e is not RetouchException)
        {
            throw new InputException($"'{path}' is corrupt: its data do not fit its description of them. Download or create it again.", e);
        }
    }
}
