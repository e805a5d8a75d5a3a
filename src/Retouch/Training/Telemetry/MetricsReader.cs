using System.Globalization;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Training.Telemetry;

/// <summary>Reads <c>metrics.jsonl</c>, also during a run.</summary>
public static class MetricsReader
{
    /// <summary>All records, in file order. A last line without line end is incomplete and is skipped.</summary>
    /// <exception cref="InputException">The file does not exist, or a complete line is not a record.</exception>
    public static IReadOnlyList<MetricsRecord> Read(string path)
    {
        List<MetricsRecord> records = [];
        foreach (var line in Lines(path))
            records.Add(line.Record);
        return records;
    }

    /// <summary>Total loss of the last training step, or null; records of validations have none.</summary>
    /// <param name="records">Records of a run.</param>
    public static double? LastLoss(IReadOnlyList<MetricsRecord> records) =>
        records.Select(static r => r.Find("loss/total")).LastOrDefault(static l => l is not null);

    /// <summary>Records, each with the byte offset after its line feed.</summary>
    internal static IEnumerable<(MetricsRecord Record, long End)> Lines(string path)
    {
        foreach (var line in Lines(ReadShared(path), path, 1))
            yield return line;
    }

    /// <summary>Complete lines of a part of a file.</summary>
    /// <param name="bytes">The part, which begins at a line.</param>
    /// <param name="path">File name for error messages.</param>
    /// <param name="first">Number of the first line.</param>
    internal static IEnumerable<(MetricsRecord Record, long End)> Lines(byte[] bytes, string path, int first)
    {
        var start = 0;
        for (var number = first; start < bytes.Length; number++)
        {
            var length = bytes.AsSpan(start).IndexOf((byte)'\n');
            if (length < 0)
                yield break;
            var line = bytes.AsMemory(start, length);
            start += length + 1;
            if (!line.Span.Trim(" \t\r"u8).IsEmpty)
                yield return (Parse(line, path, number), start);
        }
    }

    private static byte[] ReadShared(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var memory = new MemoryStream();
            stream.CopyTo(memory);
            return memory.ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException(
                $"Cannot read the metrics '{path}': {Reasons.Of(e)}. Give the folder of a run with at least one logged step.",
                e
            );
        }
    }

    private static MetricsRecord Parse(ReadOnlyMemory<byte> line, string path, int number)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            long? step = null;
            double? time = null;
            List<KeyValuePair<string, double>> values = [];
            foreach (var member in json.RootElement.EnumerateObject())
            {
                if (member.NameEquals("step"))
                    step = member.Value.GetInt64();
                else if (member.NameEquals("time"))
                    time = Number(member.Value);
                else
                    values.Add(new(member.Name, Number(member.Value)));
            }

            return new(
                step ?? throw new InputException("it has no \"step\""),
                time ?? throw new InputException("it has no \"time\""),
                values
            );
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or InputException)
        {
            throw new InputException(
                $"'{path}', line {number} is not a metrics record: {Reasons.Of(e)}. Restore the file, or delete this line, and try again.",
                e
            );
        }
    }

    private static double Number(JsonElement element) =>
        element.ValueKind switch
        {
            JsonValueKind.Number => element.GetDouble(),
            JsonValueKind.String => element.GetString() switch
            {
                "NaN" => double.NaN,
                "Infinity" => double.PositiveInfinity,
                "-Infinity" => double.NegativeInfinity,
                var other => throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"\"{other}\" is not a number.")),
            },
            var kind => throw new FormatException($"A value is {kind}, not a number."),
        };
}
