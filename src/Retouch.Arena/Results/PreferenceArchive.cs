using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Retouch.Arena.Material;
using Retouch.Core.Errors;

namespace Retouch.Arena.Results;

/// <summary>
/// Preference data set as a ZIP file for download. Equal votes and pictures give equal bytes.
/// </summary>
internal static class PreferenceArchive
{
    // Earliest date of the ZIP format: with actual dates, equal sets would differ.
    private static readonly DateTimeOffset Date = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Reads and verifies all pictures before the download starts.</summary>
    /// <exception cref="InputException">A picture is missing or has changed.</exception>
    public static async Task Check(PreferenceSet set, string root, CancellationToken cancellation)
    {
        foreach (var picture in set.Pictures)
            await Read(picture, root, cancellation).ConfigureAwait(false);
    }

    /// <summary>Writes the archive.</summary>
    /// <param name="set">Data set.</param>
    /// <param name="root">Folder of the study's pictures.</param>
    /// <param name="target">Output stream, written sequentially; not closed.</param>
    /// <param name="cancellation">Cancels between files.</param>
    /// <exception cref="InputException">A picture is missing or has changed; the archive is incomplete then.</exception>
    public static async Task Write(PreferenceSet set, string root, Stream target, CancellationToken cancellation)
    {
        var archive = await ZipArchive
            .CreateAsync(target, ZipArchiveMode.Create, leaveOpen: true, Encoding.UTF8, cancellation)
            .ConfigureAwait(false);
        await using (archive.ConfigureAwait(false))
        {
            foreach (var (name, text) in set.Texts)
                await Add(archive, name, Encoding.UTF8.GetBytes(text), CompressionLevel.Optimal, cancellation).ConfigureAwait(false);
            // Pictures are compressed already.
            foreach (var picture in set.Pictures)
                await Add(
                        archive,
                        PreferenceSet.NameOf(picture),
                        await Read(picture, root, cancellation).ConfigureAwait(false),
                        CompressionLevel.NoCompression,
                        cancellation
                    )
                    .ConfigureAwait(false);
        }
    }

    private static async Task<byte[]> Read(ModelPicture picture, string root, CancellationToken cancellation)
    {
        var file = PreferenceSet.FileOf(picture, root);
        var content = await File.ReadAllBytesAsync(file, cancellation).ConfigureAwait(false);
        PreferenceSet.Check(picture, file, SHA256.HashData(content));
        return content;
    }

    private static async Task Add(ZipArchive archive, string name, byte[] content, CompressionLevel level, CancellationToken cancellation)
    {
        var entry = archive.CreateEntry(name, level);
        entry.LastWriteTime = Date;
        var stream = await entry.OpenAsync(cancellation).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
            await stream.WriteAsync(content, cancellation).ConfigureAwait(false);
    }
}
