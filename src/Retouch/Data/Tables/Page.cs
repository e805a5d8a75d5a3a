using System.Globalization;
using Parquet.Meta;

namespace Retouch.Data.Tables;

/// <summary>Header of a page.</summary>
/// <param name="at">Position of the header.</param>
internal sealed class Page(long at)
{
    private readonly Dictionary<(string Structure, int Field), long> _numbers = [];

    /// <summary>Kind of the page.</summary>
    public PageType Type => (PageType)Number(nameof(PageHeader), 1);

    /// <summary>Size of the data in bytes, from 0 to the end of the file's pages.</summary>
    public long Compressed => Number(nameof(PageHeader), 3);

    /// <summary>Size of the uncompressed data in bytes, unchecked.</summary>
    public long Uncompressed => Number(nameof(PageHeader), 2);

    /// <summary>Number of values, unchecked.</summary>
    public long Values => Number(Structure, 1);

    /// <summary>Number of values that are missing, unchecked; 0 if the header does not state it.</summary>
    public long Nulls => Type == PageType.DATA_PAGE_V2 ? Number(Structure, 2) : 0;

    /// <summary>Encoding of the values.</summary>
    public Encoding Encoding => (Encoding)Number(Structure, Type == PageType.DATA_PAGE_V2 ? 4 : 2);

    /// <summary>Size of the levels before compressed values in bytes, at most that of the data.</summary>
    public long Levels => Type == PageType.DATA_PAGE_V2 ? Number(Structure, 5) + Number(Structure, 6) : 0;

    /// <summary>Whether the values can be compressed.</summary>
    public bool IsCompressed => Type != PageType.DATA_PAGE_V2 || _numbers.GetValueOrDefault((Structure, 7), 1) == 1;

    /// <summary>Position of the data.</summary>
    public long Data { get; private set; }

    /// <summary>The page in messages.</summary>
    public string Where => string.Create(CultureInfo.InvariantCulture, $"the page at byte {at}");

    private string Structure =>
        Type switch
        {
            PageType.DICTIONARY_PAGE => nameof(DictionaryPageHeader),
            PageType.DATA_PAGE_V2 => nameof(DataPageHeaderV2),
            _ => nameof(DataPageHeader),
        };

    /// <summary>Reads a header.</summary>
    /// <param name="file">File.</param>
    /// <param name="at">Position of the header.</param>
    /// <param name="end">End of the file's pages.</param>
    /// <exception cref="TableFaultException">The header is corrupt, or its data end after the file's pages.</exception>
    public static Page Read(Stream file, long at, long end)
    {
        var page = new Page(at);
        file.Position = at;
        new ThriftScan(file, end, (name, field, value) => page._numbers[(name, field)] = value).Check(nameof(PageHeader));
        page.Data = file.Position;
        if (page.Compressed < 0 || page.Compressed > end - page.Data)
            throw new TableFaultException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"is corrupt or truncated: {page.Where} claims {page.Compressed} bytes, but {end - page.Data} follow"
                )
            );
        if (!page._numbers.ContainsKey((page.Structure, 0)) || page.HasLevelsOutside)
            throw new TableFaultException($"is corrupt: {page.Where} has no valid header");
        return page;
    }

    private bool HasLevelsOutside =>
        Type == PageType.DATA_PAGE_V2
        && (Number(Structure, 5) < 0 || Number(Structure, 6) < 0 || Levels > Math.Min(Compressed, Uncompressed));

    private long Number(string structure, int field) => _numbers.GetValueOrDefault((structure, field));
}
