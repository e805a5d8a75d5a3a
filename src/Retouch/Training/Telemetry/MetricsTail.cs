using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Training.Telemetry;

/// <summary>
/// Reads a <c>metrics.jsonl</c> while it is written: each call returns the lines completed since the last one. A resumed run removes lines;
/// the file is then read from its start.
/// </summary>
/// <param name="path">The file; need not exist yet.</param>
public sealed class MetricsTail(string path)
{
    private long _end;
    private int _lines;
    private byte[] _last = [];

    /// <summary>Reads new records.</summary>
    /// <param name="restarted">Whether earlier records are void, and the result has all records.</param>
    /// <exception cref="InputException">The file is unreadable, or a complete line is not a record.</exception>
    public IReadOnlyList<MetricsRecord> Read(out bool restarted)
    {
        restarted = false;
        try
        {
            if (!File.Exists(path))
                return [];
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (!IsContinued(stream))
            {
                restarted = true;
                (_end, _lines, _last) = (0, 0, []);
            }

            stream.Position = _end;
            var bytes = new byte[stream.Length - _end];
            stream.ReadExactly(bytes);
            List<MetricsRecord> records = [];
            long end = 0;
            foreach (var (record, after) in MetricsReader.Lines(bytes, path, _lines + 1))
            {
                records.Add(record);
                end = after;
            }

            if (end > 0)
            {
                var line = bytes.AsSpan(0, (int)end - 1).LastIndexOf((byte)'\n') + 1;
                (_end, _lines, _last) = (_end + end, _lines + records.Count, bytes[line..(int)end]);
            }

            return records;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read the metrics '{path}': {Reasons.Of(e)}.", e);
        }
    }

    /// <summary>Whether the last line that was read is still in its place.</summary>
    private bool IsContinued(FileStream stream)
    {
        if (stream.Length < _end)
            return false;
        var found = new byte[_last.Length];
        stream.Position = _end - _last.Length;
        stream.ReadExactly(found);
        return found.AsSpan().SequenceEqual(_last);
    }
}
