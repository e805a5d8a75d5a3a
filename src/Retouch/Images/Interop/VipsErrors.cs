using NetVips;

namespace Retouch.Images.Interop;

/// <summary>Reasons of libvips.</summary>
internal static class VipsErrors
{
    private static readonly ReaderWriterLockSlim Words = new();

    /// <summary>
    /// Runs an attempt to read a picture. libvips has one error buffer for all threads, so messages of concurrent failures mix. Attempts
    /// run concurrently; a failed one is repeated exclusively with an empty buffer, so that the messages are its own.
    /// </summary>
    public static T InOwnWords<T>(ReadOnlySpan<byte> data, PictureReading reading, Func<ReadOnlySpan<byte>, PictureReading, T> attempt)
    {
        _ = VipsLibrary.Version;
        Words.EnterReadLock();
        try
        {
            return attempt(data, reading);
        }
        catch (PictureRefusedException)
        {
            // Repeated below.
        }
        finally
        {
            Words.ExitReadLock();
        }

        Words.EnterWriteLock();
        try
        {
            VipsLibrary.ClearErrors();
            return attempt(data, reading);
        }
        finally
        {
            VipsLibrary.ClearErrors();
            Words.ExitWriteLock();
        }
    }

    /// <summary>A refusal in libvips's words, on one line and without repetitions.</summary>
    /// <param name="what">What has failed.</param>
    /// <param name="failure">The failure; the first line of its message names the operation.</param>
    public static PictureRefusedException Refusal(string what, VipsException failure)
    {
        var words = failure
            .Message.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Skip(1)
            // Reads beyond the end of a file, before the reason.
            .Where(static line => !line.StartsWith("source: bad seek", StringComparison.Ordinal))
            .Distinct(StringComparer.Ordinal)
            .ToList();
        return new(words.Count == 0 ? what : $"{what}: {string.Join("; ", words)}");
    }
}
