using System.Formats.Tar;
using Retouch.Core.Errors;
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
    /// <exception cref="InputException">The tar cannot be read or is refused.</exception>
    public static List<ShardSample> Read(string path, int shard)
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
                var (key, extension) = Split(entry.Name, path);
                if (open.Key != key)
                {
                    open.Close(samples);
                    open = new Group { Key = key };
                    if (!keys.Add(key))
                        throw Refuse(path, $"the files of '{key}' do not stand together");
                }

                if (entry.DataOffset < 0 || entry.Length > stream.Length - entry.DataOffset)
                    throw Refuse(path, $"it is cut off in '{Shown(entry.Name)}', after {samples.Count} whole samples");
                open.Add(extension, entry, shard, path);
            }

            open.Close(samples);
            return samples;
        }
        catch (FileNotFoundException e)
        {
            throw new InputException($"There is no shard '{path}'; check the path.", e);
        }
        catch (Exception e) when (e is EndOfStreamException)
        {
            open.Close(samples);
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
            throw Refuse(path, $"{e.Message}{(last is null ? "" : $" (behind '{Shown(last)}')")}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read the shard '{path}': {e.Message}", e);
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
            throw new InvalidDataException(e.Message, e);
        }
    }

    private static bool IsFile(TarEntry entry, string path) =>
        entry.EntryType switch
        {
            TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile => true,
            TarEntryType.Directory or TarEntryType.GlobalExtendedAttributes => false,
            _ => throw Refuse(path, $"'{Shown(entry.Name)}' is a {entry.EntryType}; shards hold plain files only"),
        };

    /// <summary>webdataset's rule: the key goes up to the first dot of the name.</summary>
    private static (string Key, string Extension) Split(string name, string path)
    {
        if (name.StartsWith("./", StringComparison.Ordinal))
            name = name[2..];
        var wrong =
            name.Length == 0
            || name[0] == '/'
            || name.Contains('\\', StringComparison.Ordinal)
            || name.Any(char.IsControl)
            || name.Split('/').Any(static part => part is "" or "." or "..");
        if (wrong)
            throw Refuse(path, $"it holds a file named '{Shown(name)}'; names are relative, without '..'");
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
        private (ShardRange Range, string Extension)? _picture;

        public string? Key { get; init; }

        public void Add(string extension, TarEntry entry, int shard, string path)
        {
            var isPicture = PictureFile.HasPictureExtension($"x.{extension}");
            if (!isPicture && !Known.Contains(extension))
                return;
            var most = isPicture ? int.MaxValue : MaxText;
            if (entry.Length > most)
                throw Refuse(path, $"'{Shown(entry.Name)}' has {entry.Length} bytes, more than {most}");
            var range = new ShardRange(shard, entry.DataOffset, (int)entry.Length);
            if (isPicture ? _picture is not null : !_others.TryAdd(extension, range))
                throw Refuse(path, $"'{Key}' has two files that end in {(isPicture ? "a picture's ending" : "." + extension)}");
            if (isPicture)
                _picture = (range, "." + extension);
        }

        public void Close(List<ShardSample> samples)
        {
            if (_picture is { } picture)
                samples.Add(new ShardSample(Key!, picture.Range, picture.Extension, _others));
        }
    }
}
