using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images;

namespace Retouch.Training.Telemetry;

/// <summary>
/// Writes an event file that TensorBoard shows: scalars, pictures and texts over the steps. Each call hands whole records to the operating
/// system before it returns.
/// </summary>
public sealed class TensorBoardWriter : IDisposable
{
    private readonly FileStream stream;
    private readonly TimeProvider time;

    private TensorBoardWriter(FileStream stream, TimeProvider time)
    {
        this.stream = stream;
        this.time = time;
    }

    /// <summary>The event file.</summary>
    public string Path => stream.Name;

    /// <summary>Starts a new event file <c>events.out.tfevents.*</c> in <paramref name="folder"/>; earlier ones stay.</summary>
    /// <param name="folder">Created where missing.</param>
    /// <param name="time">The clock for the events' times and the file's name.</param>
    /// <param name="resumedStep">
    /// The step that a resumed run goes on from: what earlier files hold past it is then void, and TensorBoard drops it.
    /// </param>
    /// <exception cref="EnvironmentException">The folder cannot be written to.</exception>
    public static TensorBoardWriter Create(string folder, TimeProvider time, long? resumedStep = null)
    {
        ArgumentNullException.ThrowIfNull(time);
        var writer = new TensorBoardWriter(Open(folder, time.GetUtcNow().ToUnixTimeSeconds()), time);
        writer.Write(EventMessages.FileVersion(writer.Now));
        if (resumedStep is { } step)
            writer.Write(EventMessages.Restart(writer.Now, step + 1));
        return writer;
    }

    private double Now => time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;

    /// <summary>Logs named numbers; a tag's part before <c>/</c> groups it. Kept as float32, NaN and infinities included.</summary>
    public void Scalars(long step, IEnumerable<KeyValuePair<string, double>> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        Write(EventMessages.Scalars(Now, step, values));
    }

    /// <summary>Logs a picture.</summary>
    /// <exception cref="ArgumentException"><paramref name="png"/> is not an encoded PNG picture.</exception>
    public void Image(long step, string tag, byte[] png)
    {
        ArgumentNullException.ThrowIfNull(png);
        Write(EventMessages.Image(Now, step, tag, PngHeader.Read(png), png));
    }

    /// <summary>Logs a text, shown as Markdown.</summary>
    public void Text(long step, string tag, string markdown) => Write(EventMessages.Text(Now, step, tag, markdown));

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    private void Write(byte[] payload)
    {
        try
        {
            RecordFile.Write(stream, payload);
            stream.Flush();
        }
        catch (IOException e)
        {
            throw new EnvironmentException($"Cannot write the events '{Path}': {Reasons.Of(e)}. Free some space and resume the run.", e);
        }
    }

    private static FileStream Open(string folder, long seconds)
    {
        try
        {
            Directory.CreateDirectory(folder);
            // TensorBoard reads the files of a folder by their names in order: seconds first, then a counter for starts within one second.
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
