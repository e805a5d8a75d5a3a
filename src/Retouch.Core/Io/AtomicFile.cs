using Retouch.Core.Errors;

namespace Retouch.Core.Io;

/// <summary>
/// Writes files so that a reader sees either the old content or the new one, never a part: temporary file in the same folder, flush to
/// the disk, rename. A process killed at any byte leaves the old file untouched (and at most a <c>.tmp</c> file beside it).
/// </summary>
public static class AtomicFile
{
    /// <summary>Suffix of the temporary files; what carries it may be deleted when no writer is alive.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>Replaces <paramref name="path"/> with what <paramref name="write"/> puts into the stream.</summary>
    /// <exception cref="EnvironmentException">The disk is full or the folder cannot be written to; the old file is still there.</exception>
    public static void Write(string path, Action<FileStream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        var full = Path.GetFullPath(path);
        var temporary = full + "." + Guid.NewGuid().ToString("N")[..8] + TemporarySuffix;
        var done = false;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, full, overwrite: true);
            done = true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException(
                $"Cannot write '{full}': {Reasons.Of(e)}. Free some space or choose another folder; what was there before is unchanged.",
                e
            );
        }
        finally
        {
            if (!done)
                TryDelete(temporary);
        }
    }

    /// <summary>Replaces <paramref name="path"/> with <paramref name="text"/> in UTF-8 without a byte-order mark.</summary>
    /// <exception cref="EnvironmentException">As for <see cref="Write"/>.</exception>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The write's own error is the one to report; a stray temporary file is harmless.
        }
    }
}
