using System.Globalization;

namespace Retouch.Data.Tables;

/// <summary>
/// Structures of a Parquet file in Thrift's compact protocol, from the <c>parquet.thrift</c> of Apache Parquet: those of the footer and of
/// page headers.
/// </summary>
internal static class ThriftFormat
{
    // NAME = NUMBER:TYPE, of required fields NUMBER!TYPE; lists in brackets.
    private const string Text = """
        FileMetaData = 1!i32 2![SchemaElement] 3!i64 4![RowGroup] 5:[KeyValue] 6:binary 7:[ColumnOrder] 8:EncryptionAlgorithm 9:binary
        SchemaElement = 1:i32 2:i32 3:i32 4!binary 5:i32 6:i32 7:i32 8:i32 9:i32 10:LogicalType
        LogicalType = 1:Empty 2:Empty 3:Empty 4:Empty 5:Decimal 6:Empty 7:Time 8:Time 10:Int 11:Empty 12:Empty 13:Empty 14:Empty 15:Empty
          16:Variant 17:Geometry 18:Geometry
        Decimal = 1!i32 2!i32
        Time = 1!bool 2!TimeUnit
        TimeUnit = 1:Empty 2:Empty 3:Empty
        Int = 1!byte 2!bool
        Variant = 1:byte
        Geometry = 1:binary 2:i32
        KeyValue = 1!binary 2:binary
        ColumnOrder = 1:Empty
        EncryptionAlgorithm = 1:Cipher 2:Cipher
        Cipher = 1:binary 2:binary 3:bool
        RowGroup = 1![ColumnChunk] 2!i64 3!i64 4:[SortingColumn] 5:i64 6:i64 7:i16
        SortingColumn = 1!i32 2!bool 3!bool
        ColumnChunk = 1:binary 2!i64 3:ColumnMetaData 4:i64 5:i32 6:i64 7:i32 8:ColumnCrypto 9:binary
        ColumnCrypto = 1:Empty 2:ColumnKey
        ColumnKey = 1![binary] 2:binary
        ColumnMetaData = 1!i32 2![i32] 3![binary] 4!i32 5!i64 6!i64 7!i64 8:[KeyValue] 9!i64 10:i64 11:i64 12:Statistics
          13:[PageEncoding] 14:i64 15:i32 16:SizeStatistics 17:GeospatialStatistics
        PageEncoding = 1!i32 2!i32 3!i32
        Statistics = 1:binary 2:binary 3:i64 4:i64 5:binary 6:binary 7:bool 8:bool
        SizeStatistics = 1:i64 2:[i64] 3:[i64]
        GeospatialStatistics = 1:BoundingBox 2:[i32]
        BoundingBox = 1!double 2!double 3!double 4!double 5:double 6:double 7:double 8:double
        PageHeader = 1!i32 2!i32 3!i32 4:i32 5:DataPageHeader 6:Empty 7:DictionaryPageHeader 8:DataPageHeaderV2
        DataPageHeader = 1!i32 2!i32 3!i32 4!i32 5:Statistics
        DictionaryPageHeader = 1!i32 2!i32 3:bool
        DataPageHeaderV2 = 1!i32 2!i32 3!i32 4!i32 5!i32 6!i32 7:bool 8:Statistics
        Empty =
        """;

    private static readonly Dictionary<string, ThriftStruct> Structs = Text.Replace("\n  ", " ", StringComparison.Ordinal)
        .Split('\n')
        .Select(static line => line.Split('=', StringSplitOptions.TrimEntries))
        .ToDictionary(
            static line => line[0],
            static line => new ThriftStruct(
                line[0],
                line[1].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Field).ToDictionary(static f => f.Number)
            ),
            StringComparer.Ordinal
        );

    /// <summary>A structure.</summary>
    public static ThriftStruct Of(string name) => Structs[name];

    private static ThriftField Field(string text)
    {
        var at = text.IndexOfAny([':', '!']);
        var isList = text[at + 1] == '[';
        return new(
            int.Parse(text[..at], CultureInfo.InvariantCulture),
            isList ? text[(at + 2)..^1] : text[(at + 1)..],
            isList,
            text[at] == '!'
        );
    }
}

/// <summary>A structure of the format.</summary>
/// <param name="Name">Name.</param>
/// <param name="Fields">Fields by number.</param>
internal sealed record ThriftStruct(string Name, IReadOnlyDictionary<int, ThriftField> Fields);

/// <summary>A field of a structure.</summary>
/// <param name="Number">Number, from 1 to 31.</param>
/// <param name="Type">bool, byte, i16, i32, i64, double, binary (also text), or the name of a structure; of a list, its elements'.</param>
/// <param name="IsList">Whether the field is a list.</param>
/// <param name="IsRequired">Whether the format requires the field.</param>
internal sealed record ThriftField(int Number, string Type, bool IsList, bool IsRequired);
