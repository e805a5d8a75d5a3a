using System.Formats.Tar;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images;

namespace Retouch.Data.Shards;

/// <summary>Where a file of a shard lies.</summary>
/// <param name="Shard">Index of the shard.</param>
/// <param name="Offset">Its first byte.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct ShardRange(int Shard, long Offset, int Length);

/// <summary>A sample of a shard: files of one key that stand one after the other.</summary>
/// <param name="Key">The path up to the first dot of the name.</param>
/// <param name="Picture">The picture.</param>
/// <param name="Extension">The picture's, with its dot.</param>
/// <param name="Others">txt, json and cls, by extension.</param>
internal sealed record ShardSample(string Key, ShardRange Picture, string Extension, IReadOnlyDictionary<string, ShardRange> Others);

/// <summary>
/// Lists a tar in webdataset's layout from its headers alone. Nothing is ever unpacked; names still have to be plain, since they end up in
/// messages and in the files of a run, and what points out of the archive (links) or past its end is refused.
/// </summary>
internal static class ShardIndex
{
    private const int MaxText = 1 << 20;
    private static readonly string[] Known = ["txt", "json", "cls"];

    /// <summary>The samples with a picture, in the order of the tar.</summary>
    /// <param name="path">The tar.</param>
    /// <param name="shard">Its index, for the ranges.</param>
    /// <param name="unread">Takes the names of pictures that are left out: of formats that are not read, and those beside their
    /// picture.</param>
    /// <exception cref="InputException">The tar cannot be read or is refused.</exception>
    public static List<ShardSample> Read(string path, int shard, List<string> unread)
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
                    open.Close(samples, unread, path);
                    open = new Group { Key = key };
                    if (!keys.Add(key))
                        throw Refuse(path, $"the files of '{key}' do not stand together");
                }

                if (entry.DataOffset < 0 || entry.Length > stream.Length - entry.DataOffset)
                    throw Refuse(path, $"it is cut off in '{Shown(entry.Name)}', after {samples.Count} whole samples");
                open.Add(extension, entry, shard, path);
            }

            open.Close(samples, unread, path);
            return samples;
        }
        catch (FileNotFoundException e)
        {
            throw new InputException($"There is no shard '{path}'; check the path.", e);
        }
        catch (Exception e) when (e is EndOfStreamException)
        {
            open.Close(samples, unread, path);
            throw Refuse(path, $"it is cut off, after {samples.Count} whole samples", e);
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
            throw Refuse(path, $"its headers are no tar's{(last is null ? "" : $" behind '{Shown(last)}'")}", e);
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
            // How .NET puts it where an extended header says that it is longer than any may be.
            throw new InvalidDataException("an extended header is too long", e);
        }
    }

    private static bool IsFile(TarEntry entry, string path) =>
        entry.EntryType switch
        {
            TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile => true,
            TarEntryType.Directory or TarEntryType.GlobalExtendedAttributes => false,
            _ => throw Refuse(path, $"'{Shown(entry.Name)}' is no plain file but {KindOf(entry.EntryType)}; shards hold plain files only"),
        };

    private static string KindOf(TarEntryType type) =>
        type switch
        {
            TarEntryType.SymbolicLink or TarEntryType.HardLink => "a link",
            TarEntryType.CharacterDevice or TarEntryType.BlockDevice => "a device",
            TarEntryType.Fifo => "a pipe",
            _ => "of a kind of its own",
        };

    /// <exception cref="InputException">The name leads elsewhere.</exception>
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
        return wrong ? throw Refuse(path, $"it holds a file named '{Shown(name)}'; names are relative, without '..'") : name;
    }

    /// <summary>webdataset's rule: the key goes up to the first dot of the name.</summary>
    private static (string Key, string Extension) Split(string name)
    {
        var dot = name.IndexOf('.', name.LastIndexOf('/') + 1);
        return dot < 0 ? (name, "") : (name[..dot], name[(dot + 1)..].ToLowerInvariant());
    }

    private static string Shown(string name) => new([.. name.Take(120).Select(static c => char.IsControl(c) ? '?' : c)]);

    private static InputException Refuse(string path, string why, Exception? cause = null) =>
        new($"The shard '{path}' cannot be used: {why}. Fetch or make it again, or leave it out.", cause);

    /// <summary>The files of one key.</summary>
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
                throw Refuse(path, $"'{Key}' has two files that end in .{extension}");
        }

        /// <summary>
        /// Adds the sample. Its picture is the one whose ending is a format's alone: what stands between, as in <c>17.mask.png</c>, names
        /// something that belongs to it.
        /// </summary>
        public void Close(List<ShardSample> samples, List<string> unread, string path)
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
                    $"'{Key}' has two files that end in a picture's ending, "
                        + $".{string.Join(" and .", candidates.Order(StringComparer.Ordinal).Take(2))}"
                );
            }

            unread.AddRange(_pictures.Keys.Where(e => e != candidates[0]).Select(e => $"{Key}.{e}"));
            samples.Add(new ShardSample(Key!, _pictures[candidates[0]], "." + candidates[0], _others));
        }
    }
}
