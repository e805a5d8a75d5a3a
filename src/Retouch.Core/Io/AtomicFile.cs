using Retouch.Core.Errors;

namespace Retouch.Core.Io;

/// <summary>
/// Writes files atomically, so that a reader sees either the old or the new content: temporary file in the same folder, flush to disk,
/// rename. If the process is killed at any time, the old file is unchanged (and at most a <c>.tmp</c> file remains beside it).
/// </summary>
public static class AtomicFile
{
    /// <summary>Suffix of the temporary files, which can be deleted if no writer is running.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>Replaces <paramref name="path"/> with the content that <paramref name="write"/> writes to the stream.</summary>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable; the old file is unchanged.</exception>
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
                $"Cannot write '{full}': {Reasons.Of(e)}. Free some space or choose another folder; the previous content is unchanged.",
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
    /// <exception cref="EnvironmentException">See <see cref="Write"/>.</exception>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The error of the write is reported; a leftover temporary file is harmless.
        }
    }
}
