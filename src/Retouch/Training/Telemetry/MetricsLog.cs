using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;

namespace Retouch.Training.Telemetry;

/// <summary>
/// Appends to <c>metrics.jsonl</c>: one JSON object per line, <c>{"step":12,"time":1750000000.125,"loss/latent":0.41}</c>. Each line is
/// written to the operating system before <see cref="Append"/> returns, so that a killed process loses at most the current line. Non-finite
/// numbers are the strings "NaN", "Infinity" and "-Infinity".
/// </summary>
public sealed class MetricsLog : IDisposable
{
    private readonly FileStream _stream;
    private readonly TimeProvider _time;
    private readonly MemoryStream _line = new();
    private readonly HashSet<string> _names = [];
    private long _lastStep;

    private MetricsLog(FileStream stream, TimeProvider time, long lastStep)
    {
        _stream = stream;
        _time = time;
        _lastStep = lastStep;
    }

    /// <summary>Creates an empty log; an existing one is an error, so that no history is overwritten.</summary>
    /// <exception cref="EnvironmentException">The file exists or is not writable.</exception>
    public static MetricsLog Create(string path, TimeProvider time) => Open(path, FileMode.CreateNew, time, lastStep: long.MinValue);

    /// <summary>
    /// Continues the log of a run resumed after <paramref name="step"/>: later records and an incomplete last line are removed, since they
    /// belong to weights that no longer exist. A missing file is created.
    /// </summary>
    /// <exception cref="InputException">A complete line is not a record.</exception>
    /// <exception cref="EnvironmentException">The file is not writable.</exception>
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
        log._stream.SetLength(keep);
        log._stream.Position = keep;
        return log;
    }

    /// <summary>Appends one record and flushes it to the operating system.</summary>
    /// <param name="step">Optimiser step, not below the previous one (several records may share a step).</param>
    /// <param name="values">Numbers by unique name, other than <c>step</c> and <c>time</c>.</param>
    /// <exception cref="ArgumentException">The step decreases, or a name is empty, reserved or duplicated.</exception>
    /// <exception cref="EnvironmentException">The disk is full.</exception>
    public void Append(long step, IEnumerable<KeyValuePair<string, double>> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (step < _lastStep)
            throw new ArgumentException($"Step {step} comes after step {_lastStep}; steps must not decrease.", nameof(step));
        _line.SetLength(0);
        _names.Clear();
        using (var json = new Utf8JsonWriter(_line, JsonStyles.LineWriter))
        {
            json.WriteStartObject();
            json.WriteNumber("step", step);
            json.WriteNumber("time", _time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0);
            foreach (var (name, value) in values)
            {
                if (name is "" or "step" or "time" || !_names.Add(name))
                    throw new ArgumentException($"'{name}' is empty, reserved or given twice.", nameof(values));
                WriteNumber(json, name, value);
            }

            json.WriteEndObject();
        }

        _line.WriteByte((byte)'\n');
        Guard(() =>
        {
            _stream.Write(_line.GetBuffer(), 0, (int)_line.Length);
            _stream.Flush();
        });
        _lastStep = step;
    }

    /// <summary>Flushes the log to disk; called with every checkpoint.</summary>
    /// <exception cref="EnvironmentException">The disk is full.</exception>
    public void FlushToDisk() => Guard(() => _stream.Flush(flushToDisk: true));

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

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
            // Unbuffered: each line is one write.
            return new(new FileStream(path, mode, FileAccess.Write, FileShare.Read | FileShare.Delete, bufferSize: 0), time, lastStep);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException(
                $"Cannot write the metrics '{path}': {Reasons.Of(e)}. Choose another folder, or resume the existing run.",
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
                $"Cannot write the metrics '{_stream.Name}': {Reasons.Of(e)}. Free disk space and resume the run.",
                e
            );
        }
    }
}
