using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Training.Telemetry;

/// <summary>Appends the notes of a run to a file, one line with its time each, and passes everything on to a display.</summary>
internal sealed class NotedProgress : IProgressLine
{
    private readonly IProgressLine? _display;
    private readonly StreamWriter? _file;
    private readonly TimeProvider _time;

    /// <param name="display">Display, or null; not disposed here.</param>
    /// <param name="path">File; existing lines are kept. Null for none.</param>
    /// <param name="time">Clock.</param>
    /// <exception cref="EnvironmentException">The file is not writable.</exception>
    public NotedProgress(IProgressLine? display, string? path, TimeProvider time)
    {
        (_display, _time) = (display, time);
        if (path is null)
            return;
        try
        {
            _file = new(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true, NewLine = "\n" };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException($"Cannot write the log '{path}': {Reasons.Of(e)}. Fix its permissions.", e);
        }
    }

    /// <inheritdoc/>
    public void Report(TrainingProgress progress) => _display?.Report(progress);

    /// <inheritdoc/>
    public void Note(string message)
    {
        Write(message);
        _display?.Note(message);
    }

    /// <summary>Appends a message without displaying it.</summary>
    public void Write(string message) =>
        _file?.WriteLine($"{_time.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)}  {message}");

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();
}
