namespace Retouch.Data.Tables;

/// <summary>
/// Recently used columns of row groups, which are read as a whole. Several threads that need the same one read it once. Thread-safe.
/// </summary>
/// <param name="most">Maximum size of the pictures in bytes; a single larger row group is kept, too.</param>
internal sealed class RowGroupCache(long most)
{
    /// <summary>Default maximum size.</summary>
    public const long DefaultBytes = 1L << 30;

    private readonly Lock _guard = new();
    private readonly LinkedList<Entry> _recent = [];
    private readonly Dictionary<(ParquetTable Table, string Column, int Group), LinkedListNode<Entry>> _entries = [];
    private long _bytes;

    /// <summary>Number of row groups read so far.</summary>
    public int Reads { get; private set; }

    /// <summary>A picture; null if the row has none.</summary>
    /// <param name="table">Table.</param>
    /// <param name="column">Column of pictures.</param>
    /// <param name="group">Row group.</param>
    /// <param name="row">Row of the group.</param>
    public byte[]? Get(ParquetTable table, string column, int group, int row)
    {
        Entry entry;
        lock (_guard)
        {
            if (_entries.TryGetValue((table, column, group), out var node))
            {
                _recent.Remove(node);
            }
            else
            {
                Reads++;
                node = new(new((table, column, group), new(() => table.Bytes(column, group))));
                _entries.Add(node.Value.Key, node);
            }

            _recent.AddFirst(node);
            entry = node.Value;
        }

        // Outside the lock: others read other row groups meanwhile. A failure is kept, and repeated for every row of the group.
        var rows = entry.Rows.Value;
        lock (_guard)
        {
            if (entry.Bytes is null)
                _bytes += (entry.Bytes = rows.Sum(static r => (long)(r?.Length ?? 0))).Value;
            while (_bytes > most && _recent.Last is { } last && last.Value != entry && last.Value.Bytes is { } size)
            {
                _recent.RemoveLast();
                _entries.Remove(last.Value.Key);
                _bytes -= size;
            }
        }

        return rows[row];
    }

    private sealed class Entry((ParquetTable Table, string Column, int Group) key, Lazy<byte[]?[]> rows)
    {
        public (ParquetTable Table, string Column, int Group) Key => key;

        public Lazy<byte[]?[]> Rows => rows;

        public long? Bytes { get; set; }
    }
}
