using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images;

namespace Retouch.Training.Telemetry;

/// <summary>
/// Writes a TensorBoard event file: scalars, images and texts over steps. Each call writes complete records to the operating system before
/// it returns.
/// </summary>
public sealed class TensorBoardWriter : IDisposable
{
    private readonly FileStream _stream;
    private readonly TimeProvider _time;

    private TensorBoardWriter(FileStream stream, TimeProvider time)
    {
        _stream = stream;
        _time = time;
    }

    /// <summary>Path of the event file.</summary>
    public string Path => _stream.Name;

    /// <summary>Creates a new event file <c>events.out.tfevents.*</c> in <paramref name="folder"/>; earlier ones remain.</summary>
    /// <param name="folder">Created if missing.</param>
    /// <param name="time">Clock for event times and the file name.</param>
    /// <param name="resumedStep">Step of a resumed run: TensorBoard discards later records of earlier files.</param>
    /// <exception cref="EnvironmentException">The folder is not writable.</exception>
    public static TensorBoardWriter Create(string folder, TimeProvider time, long? resumedStep = null)
    {
        ArgumentNullException.ThrowIfNull(time);
        var writer = new TensorBoardWriter(Open(folder, time.GetUtcNow().ToUnixTimeSeconds()), time);
        writer.Write(EventMessages.FileVersion(writer.Now));
        if (resumedStep is { } step)
            writer.Write(EventMessages.Restart(writer.Now, step + 1));
        return writer;
    }

    private double Now => _time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;

    /// <summary>Logs numbers by tag; the part before <c>/</c> is the group. Stored as float32, including NaN and infinities.</summary>
    public void Scalars(long step, IEnumerable<KeyValuePair<string, double>> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        Write(EventMessages.Scalars(Now, step, values));
    }

    /// <summary>Logs an image.</summary>
    /// <exception cref="ArgumentException"><paramref name="png"/> is not a PNG image.</exception>
    public void Image(long step, string tag, byte[] png)
    {
        ArgumentNullException.ThrowIfNull(png);
        Write(EventMessages.Image(Now, step, tag, PngHeader.Read(png), png));
    }

    /// <summary>Logs a text, shown as Markdown.</summary>
    public void Text(long step, string tag, string markdown) => Write(EventMessages.Text(Now, step, tag, markdown));

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private void Write(byte[] payload)
    {
        try
        {
            RecordFile.Write(_stream, payload);
            _stream.Flush();
        }
        catch (IOException e)
        {
            throw new EnvironmentException($"Cannot write the events '{Path}': {Reasons.Of(e)}. Free disk space and resume the run.", e);
        }
    }

    private static FileStream Open(string folder, long seconds)
    {
        try
        {
            Directory.CreateDirectory(folder);
            // TensorBoard reads the files of a folder in name order: seconds first, then a counter for starts within the same second.
            for (var attempt = 0; ; attempt++)
            {
                var path = System.IO.Path.Combine(
                    folder,
                    string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{seconds:D10}.{attempt:D4}.retouch")
                );
                if (!File.Exists(path))
                    return new(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read | FileShare.Delete, bufferSize: 0);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException($"Cannot write TensorBoard events to '{folder}': {Reasons.Of(e)}. Choose another folder.", e);
        }
    }
}
