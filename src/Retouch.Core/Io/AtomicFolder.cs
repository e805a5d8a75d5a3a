using System.Runtime.InteropServices;
using Retouch.Core.Errors;

namespace Retouch.Core.Io;

/// <summary>
/// Writes folders atomically, so that a reader sees either the old or the new content: a temporary folder beside the target is filled,
/// flushed to disk, and exchanged with the target. If the process is killed at any time, the old folder is unchanged (and at most a
/// <c>.tmp</c> folder remains beside it). File systems without an exchange operation use two renames; a kill between them is repaired
/// by
/// <see cref="Recover"/>, which readers call first.
/// </summary>
public static partial class AtomicFolder
{
    private const string PreviousSuffix = ".previous";
    private const int CurrentFolder = -100;
    private const uint Exchange = 2;

    /// <summary>Replaces <paramref name="path"/> with a folder that <paramref name="fill"/> fills.</summary>
    /// <param name="path">Folder path; created if it does not exist. Links are followed.</param>
    /// <param name="fill">Receives the path of the temporary folder.</param>
    /// <exception cref="EnvironmentException">The disk is full or the parent folder is not writable; the old folder is
    /// unchanged.</exception>
    public static void Write(string path, Action<string> fill) => Write(path, fill, TryExchange);

    /// <summary>Restores the previous folder after a kill between two renames.</summary>
    public static void Recover(string path)
    {
        var full = Resolve(path);
        if (!Path.Exists(full) && Directory.Exists(full + PreviousSuffix))
            Directory.Move(full + PreviousSuffix, full);
    }

    internal static void Write(string path, Action<string> fill, Func<string, string, bool> exchange)
    {
        ArgumentNullException.ThrowIfNull(fill);
        var full = Resolve(path);
        var temporary = full + "." + Guid.NewGuid().ToString("N")[..8] + AtomicFile.TemporarySuffix;
        try
        {
            if (File.Exists(full))
                throw new IOException(null, new EnvironmentException("a file with this name exists"));
            Recover(full);
            Directory.CreateDirectory(temporary);
            fill(temporary);
            FlushAll(temporary);
            if (!Directory.Exists(full))
                Directory.Move(temporary, full);
            else if (!exchange(temporary, full))
                Swap(temporary, full);
            Flush(Path.GetDirectoryName(full)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new EnvironmentException(
                $"Cannot write the folder '{full}': {Reasons.Of(e)}. Free some space or choose another folder; the previous content "
                    + $"is unchanged.",
                e
            );
        }
        finally
        {
            // The old content after an exchange, the incomplete new content after a failure.
            TryDelete(temporary);
        }
    }

    /// <summary>Atomic exchange, supported by most Linux file systems.</summary>
    private static bool TryExchange(string a, string b)
    {
        if (!OperatingSystem.IsLinux())
            return false;
        try
        {
            return RenameAt2(CurrentFolder, a, CurrentFolder, b, Exchange) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            return false;
        }
    }

    private static void Swap(string temporary, string full)
    {
        TryDelete(full + PreviousSuffix);
        Directory.Move(full, full + PreviousSuffix);
        Directory.Move(temporary, full);
        TryDelete(full + PreviousSuffix);
    }

    private static string Resolve(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Directory.Exists(full) ? Directory.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName ?? full : full;
    }

    private static void FlushAll(string folder)
    {
        foreach (var entry in Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories))
            Flush(entry);
        Flush(folder);
    }

    /// <summary>
    /// Flushes a file's content or a folder's entries to disk. Copied files can be read-only; only the system call flushes
    /// those.
    /// </summary>
    private static void Flush(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            FlushWritable(path);
            return;
        }

        var descriptor = Open(path, 0);
        var failed = descriptor < 0 || FSync(descriptor) != 0;
        var error = Marshal.GetLastPInvokeError();
        if (descriptor >= 0)
            _ = Close(descriptor);
        // Some file systems cannot flush folders; files must be flushed.
        if (failed && File.Exists(path))
            throw new IOException(null, error);
    }

    private static void FlushWritable(string path)
    {
        if (!File.Exists(path) || File.GetAttributes(path).HasFlag(FileAttributes.ReadOnly))
            return;
        using var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, 1);
        stream.Flush(flushToDisk: true);
    }

    private static void TryDelete(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The result of the write is already determined; a leftover temporary folder is harmless.
        }
    }

    [LibraryImport("libc", EntryPoint = "renameat2", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt2(int oldFolder, string oldPath, int newFolder, string newPath, uint flags);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
