using System.Formats.Tar;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images;

namespace Retouch.Data.Shards;

/// <summary>Location of a file in a shard.</summary>
/// <param name="Shard">Index of the shard.</param>
/// <param name="Offset">Byte offset in the shard.</param>
/// <param name="Length">Length in bytes.</param>
internal readonly record struct ShardRange(int Shard, long Offset, int Length);

/// <summary>A sample of a shard: consecutive files with the same key.</summary>
/// <param name="Key">Path up to the first dot of the name.</param>
/// <param name="Picture">Location of the picture.</param>
/// <param name="Extension">Extension of the picture, with its dot.</param>
/// <param name="Others">Locations of txt, json and cls files, by extension.</param>
internal sealed record ShardSample(string Key, ShardRange Picture, string Extension, IReadOnlyDictionary<string, ShardRange> Others)
{
    /// <summary>Extension of the mask of the loss, <c>mask.png</c> as an example, with its location; null without a mask.</summary>
    public (string Extension, ShardRange Range)? Mask { get; init; }
}

/// <summary>
/// Indexes a tar in webdataset's layout from its headers. Nothing is unpacked; names are still validated, since they appear in messages
/// and in the files of a run. Links and entries past the end of the archive are refused.
/// </summary>
internal static class ShardIndex
{
    private const int MaxText = 1 << 20;
    private static readonly string[] Known = ["txt", "json", "cls"];

    /// <summary>Samples with a picture, in archive order.</summary>
    /// <param name="path">Path of the tar.</param>
    /// <param name="shard">Index of the shard for the locations.</param>
    /// <param name="unread">Receives the names of skipped pictures: those of unsupported formats, and companions of a picture.</param>
    /// <param name="readsMasks">Whether <c>KEY.mask.png</c> is the mask of a sample.</param>
    /// <exception cref="InputException">The tar cannot be read or is refused.</exception>
    public static List<ShardSample> Read(string path, int shard, List<string> unread, bool readsMasks = false)
    {
        List<ShardSample> samples = [];
        HashSet<string> keys = new(StringComparer.Ordinal);
        string? last = null;
        var open = new Group();
        try
        {
            using var stream = File.OpenRead(path);
            using var reader = new TarReader(stream);
            while (Next(reader) is { } entry)
            {
                last = entry.Name;
                if (!IsFile(entry, path))
                    continue;
                var name = Plain(entry.Name, path);
                if (PassedOver.IsSystemPath(name))
                    continue;
                var (key, extension) = Split(name);
                if (open.Key != key)
                {
                    open.Close(samples, unread, path, readsMasks);
                    open = new Group { Key = key };
                    if (!keys.Add(key))
                        throw Refuse(path, $"the files of '{key}' are not consecutive");
                }

                if (entry.DataOffset < 0 || entry.Length > stream.Length - entry.DataOffset)
                    throw Refuse(path, $"it is truncated in '{Shown(entry.Name)}', after {samples.Count} complete samples");
                open.Add(extension, entry, shard, path);
            }

            open.Close(samples, unread, path, readsMasks);
            return samples;
        }
        catch (FileNotFoundException e)
        {
            throw new InputException($"There is no shard '{path}'; check the path.", e);
        }
        catch (Exception e) when (e is EndOfStreamException)
        {
            open.Close(samples, unread, path, readsMasks);
            throw Refuse(path, $"it is truncated after {samples.Count} complete samples", e);
        }
        catch (Exception e)
            when (e
                    is InvalidDataException
                        or FormatException
                        or ArgumentException
                        or OverflowException
                        or NotSupportedException
                        or OutOfMemoryException
            )
        {
            throw Refuse(path, $"it has an invalid tar header{(last is null ? "" : $" after '{Shown(last)}'")}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read the shard '{path}': {Reasons.Of(e)}.", e);
        }
    }

    private static TarEntry? Next(TarReader reader)
    {
        try
        {
            return reader.GetNextEntry();
        }
        catch (InvalidOperationException e)
        {
            // .NET throws this exception for an extended header above its size limit.
            throw new InvalidDataException("an extended header is too long", e);
        }
    }

    private static bool IsFile(TarEntry entry, string path) =>
        entry.EntryType switch
        {
            TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile => true,
            TarEntryType.Directory or TarEntryType.GlobalExtendedAttributes => false,
            _ => throw Refuse(path, $"'{Shown(entry.Name)}' is {KindOf(entry.EntryType)}; shards must contain regular files only"),
        };

    private static string KindOf(TarEntryType type) =>
        type switch
        {
            TarEntryType.SymbolicLink or TarEntryType.HardLink => "a link",
            TarEntryType.CharacterDevice or TarEntryType.BlockDevice => "a device",
            TarEntryType.Fifo => "a pipe",
            _ => "of an unsupported type",
        };

    /// <exception cref="InputException">The name is not a plain relative path.</exception>
    private static string Plain(string name, string path)
    {
        if (name.StartsWith("./", StringComparison.Ordinal))
            name = name[2..];
        var wrong =
            name.Length == 0
            || name[0] == '/'
            || name.Contains('\\', StringComparison.Ordinal)
            || name.Any(char.IsControl)
            || name.Split('/').Any(static part => part is "" or "." or "..");
        return wrong ? throw Refuse(path, $"it contains a file named '{Shown(name)}'; names must be relative, without '..'") : name;
    }

    /// <summary>webdataset's rule: the key is the path up to the first dot of the name.</summary>
    private static (string Key, string Extension) Split(string name)
    {
        var dot = name.IndexOf('.', name.LastIndexOf('/') + 1);
        return dot < 0 ? (name, "") : (name[..dot], name[(dot + 1)..].ToLowerInvariant());
    }

    private static string Shown(string name) => new([.. name.Take(120).Select(static c => char.IsControl(c) ? '?' : c)]);

    private static InputException Refuse(string path, string why, Exception? cause = null) =>
        new($"The shard '{path}' cannot be used: {why}. Download or create it again, or omit it.", cause);

    /// <summary>Files with the same key.</summary>
    private sealed class Group
    {
        private readonly Dictionary<string, ShardRange> _others = new(StringComparer.Ordinal);
        private readonly Dictionary<string, ShardRange> _pictures = new(StringComparer.Ordinal);
        private readonly List<string> _unread = [];

        public string? Key { get; init; }

        public void Add(string extension, TarEntry entry, int shard, string path)
        {
            var isPicture = PictureFile.HasPictureExtension($"x.{extension}");
            if (!isPicture && PassedOver.IsUnreadPicture($"x.{extension}"))
                _unread.Add($"{Key}.{extension}");
            if (!isPicture && !Known.Contains(extension))
                return;
            var most = isPicture ? int.MaxValue : MaxText;
            if (entry.Length > most)
                throw Refuse(path, $"'{Shown(entry.Name)}' has {entry.Length} bytes, more than {most}");
            if (!(isPicture ? _pictures : _others).TryAdd(extension, new ShardRange(shard, entry.DataOffset, (int)entry.Length)))
                throw Refuse(path, $"'{Key}' has two files with the extension .{extension}");
        }

        /// <summary>
        /// Adds the sample. Its picture is the file with a single extension; a name with several, such as <c>17.mask.png</c>, is a
        /// companion.
        /// </summary>
        public void Close(List<ShardSample> samples, List<string> unread, string path, bool readsMasks)
        {
            unread.AddRange(_unread);
            if (_pictures.Count == 0)
                return;
            string[] plain = [.. _pictures.Keys.Where(static e => !e.Contains('.', StringComparison.Ordinal))];
            string[] candidates = plain.Length > 0 ? plain : [.. _pictures.Keys];
            if (candidates.Length > 1)
            {
                throw Refuse(
                    path,
                    $"'{Key}' has two files with a picture extension, "
                        + $".{string.Join(" and .", candidates.Order(StringComparer.Ordinal).Take(2))}"
                );
            }

            string[] masks = readsMasks
                ? [.. _pictures.Keys.Where(e => e != candidates[0] && e.StartsWith("mask.", StringComparison.Ordinal))]
                : [];
            if (masks.Length > 1)
                throw Refuse(path, $"'{Key}' has two masks, .{string.Join(" and .", masks.Order(StringComparer.Ordinal).Take(2))}");
            unread.AddRange(_pictures.Keys.Where(e => e != candidates[0] && !masks.Contains(e)).Select(e => $"{Key}.{e}"));
            samples.Add(
                new ShardSample(Key!, _pictures[candidates[0]], "." + candidates[0], _others)
                {
                    Mask = masks is [var mask] ? (mask, _pictures[mask]) : null,
                }
            );
        }
    }
}
