using System.Text.Encodings.Web;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Training.Telemetry;

/// <summary>
/// Appends to <c>metrics.jsonl</c>: one JSON object a line, <c>{"step":12,"time":1750000000.125,"loss/latent":0.41}</c>. Every line is
/// handed to the operating system whole before <see cref="Append"/> returns, so that a killed process loses at most the line in hand.
/// Numbers that JSON has no form for are the strings "NaN", "Infinity" and "-Infinity".
/// </summary>
public sealed class MetricsLog : IDisposable
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly FileStream stream;
    private readonly TimeProvider time;
    private readonly MemoryStream line = new();
    private readonly HashSet<string> names = [];
    private long lastStep;

    private MetricsLog(FileStream stream, TimeProvider time, long lastStep)
    {
        this.stream = stream;
        this.time = time;
        this.lastStep = lastStep;
    }

    /// <summary>Starts an empty log; one that is there already is an error, a run's history is never overwritten silently.</summary>
    /// <exception cref="EnvironmentException">The file exists or cannot be written.</exception>
    public static MetricsLog Create(string path, TimeProvider time) => Open(path, FileMode.CreateNew, time, lastStep: long.MinValue);

    /// <summary>
    /// Goes on with the log of a run resumed after <paramref name="step"/>: records past that step were computed from weights that are
    /// gone and are cut off, as is a line that a kill left incomplete. A missing file is started empty.
    /// </summary>
    /// <exception cref="InputException">A whole line of the log is not a record.</exception>
    /// <exception cref="EnvironmentException">The file cannot be written.</exception>
    public static MetricsLog Resume(string path, long step, TimeProvider time)
    {
        long keep = 0;
        if (File.Exists(path))
        {
            foreach (var (record, end) in MetricsReader.Lines(path))
            {
                if (record.Step > step)
                    break;
                keep = end;
            }
        }

        var log = Open(path, FileMode.OpenOrCreate, time, step);
        log.stream.SetLength(keep);
        log.stream.Position = keep;
        return log;
    }

    /// <summary>Appends one record and flushes it to the operating system.</summary>
    /// <param name="step">Not below the step before it (several records may share one step).</param>
    /// <param name="values">Named numbers; a name occurs once and is neither <c>step</c> nor <c>time</c>.</param>
    /// <exception cref="ArgumentException">The step goes back, or a name is empty, reserved or doubled.</exception>
    /// <exception cref="EnvironmentException">The disk is full.</exception>
    public void Append(long step, IEnumerable<KeyValuePair<string, double>> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (step < lastStep)
            throw new ArgumentException(
                $"Step {step} comes after step {lastStep}; the log is kept in the order of the steps.",
                nameof(step)
            );
        line.SetLength(0);
        names.Clear();
        using (var json = new Utf8JsonWriter(line, Options))
        {
            json.WriteStartObject();
            json.WriteNumber("step", step);
            json.WriteNumber("time", time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0);
            foreach (var (name, value) in values)
            {
                if (name is "" or "step" or "time" || !names.Add(name))
                    throw new ArgumentException($"'{name}' is empty, reserved or given twice.", nameof(values));
                WriteNumber(json, name, value);
            }

            json.WriteEndObject();
        }

        line.WriteByte((byte)'\n');
        Guard(() =>
        {
            stream.Write(line.GetBuffer(), 0, (int)line.Length);
            stream.Flush();
        });
        lastStep = step;
    }

    /// <summary>Brings what was appended down to the disk: call it with every checkpoint.</summary>
    /// <exception cref="EnvironmentException">The disk is full.</exception>
    public void FlushToDisk() => Guard(() => stream.Flush(flushToDisk: true));

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    private static void WriteNumber(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
            json.WriteNumber(name, value);
        else
            json.WriteString(
                name,
                double.IsNaN(value) ? "NaN"
                    : value > 0 ? "Infinity"
                    : "-Infinity"
            );
    }

    private static MetricsLog Open(string path, FileMode mode, TimeProvider time, long lastStep)
    {
        ArgumentNullException.ThrowIfNull(time);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            // No buffer of its own: each line is one write.
            return new(new FileStream(path, mode, FileAccess.Write, FileShare.Read | FileShare.Delete, bufferSize: 0), time, lastStep);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException(
                $"Cannot write the metrics '{path}': {Reasons.Of(e)}. Choose another folder, or resume the run that is there.",
                e
            );
        }
    }

    private void Guard(Action write)
    {
        try
        {
            write();
        }
        catch (IOException e)
        {
            throw new EnvironmentException(
                $"Cannot write the metrics '{stream.Name}': {Reasons.Of(e)}. Free some space and resume the run.",
                e
            );
        }
    }
}
