using System.Globalization;
using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data.Shards;

/// <summary>
/// Pictures in tar shards of webdataset's layout: files of one key (<c>000017.jpg</c>, <c>000017.txt</c>, <c>000017.json</c>,
/// <c>000017.cls</c>) are a sample. Shards are listed once, by their headers, and read at any place afterwards; nothing is unpacked.
/// <list type="bullet">
/// <item>Captions: <c>text</c> or <c>caption</c> of the json, else the txt.</item>
/// <item>Labels: <c>label</c> of the json, else the cls, a number or a name; else the folder of the key, as in an image folder.</item>
/// </list>
/// </summary>
public sealed class TarShards : IPictureSource
{
    private const string Ending = ".tar";

    private readonly string[] paths;
    private readonly string[] names;
    private readonly ShardSample[] samples;
    private readonly PictureReading reading;
    private readonly int?[] labels;
    private readonly string?[] captions;

    private TarShards(string[] paths, ShardSample[] samples, PictureReading reading)
    {
        (this.paths, this.samples, this.reading) = (paths, samples, reading);
        names = Array.ConvertAll(paths, static p => Path.GetFileName(p));
        // Shards of the same name in two folders are told apart by their paths.
        if (names.Distinct(StringComparer.Ordinal).Count() < names.Length)
            names = paths;
        captions = new string?[samples.Length];
        var given = new object?[samples.Length];
        for (var k = 0; k < samples.Length; k++)
        {
            if (samples[k].Others.TryGetValue("json", out var json))
                given[k] = ReadJson(json, Name(samples[k], "json"), out captions[k]);
            if (given[k] is null && samples[k].Others.TryGetValue("cls", out var cls))
                given[k] = Label(Text(cls, Name(samples[k], "cls")), Name(samples[k], "cls"));
        }

        (labels, Classes) = FolderLabels.Assign([.. samples.Select(static s => s.Key + s.Extension)], given);
    }

    /// <inheritdoc/>
    public int Count => samples.Length;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes { get; }

    /// <inheritdoc/>
    public Sample this[int index]
    {
        get
        {
            var sample = samples[index];
            var caption = captions[index];
            if (caption is null && sample.Others.TryGetValue("txt", out var txt))
                caption = FolderMetadata.OneLine(Text(txt, Name(sample, "txt")));
            return new Sample($"{names[sample.Picture.Shard]}/{sample.Key}{sample.Extension}", labels[index], caption);
        }
    }

    /// <summary>Lists shards.</summary>
    /// <param name="shards">Files, folders (their *.tar), or names with a range in braces as webdataset has them:
    /// <c>shard-{000000..000007}.tar</c>.</param>
    /// <param name="reading">How pictures are read; <see cref="PictureReading.MinSide"/> is set by each call of <see cref="Load"/>.</param>
    /// <exception cref="InputException">A shard is missing, broken or refused, or there are no pictures.</exception>
    public static TarShards Open(IReadOnlyList<string> shards, PictureReading? reading = null)
    {
        ArgumentNullException.ThrowIfNull(shards);
        string[] files = [.. shards.SelectMany(Expand)];
        if (files.Length == 0)
            throw new InputException("No shards were given; name tar files, or a folder of them.");
        ShardSample[] found = [.. files.SelectMany(ShardIndex.Read)];
        return found.Length > 0
            ? new TarShards(files, found, reading ?? PictureReading.Default)
            : throw new InputException(
                $"The shards hold no pictures: {string.Join(", ", files.Take(5))}{(files.Length > 5 ? ", …" : "")}. Samples need "
                    + $"a file that ends in {string.Join(", ", PictureFile.Extensions)}."
            );
    }

    /// <inheritdoc/>
    public string Stamp(int index) =>
        new FileInfo(paths[samples[index].Picture.Shard]) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{file.LastWriteTimeUtc.Ticks}-{samples[index].Picture.Offset}")
            : "gone";

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index)
    {
        var name = Name(samples[index], samples[index].Extension[1..]);
        var info = PictureFile.Probe(Bytes(samples[index].Picture, name), name, reading);
        return (info.Width, info.Height);
    }

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0)
    {
        var name = this.Name(samples[index], samples[index].Extension[1..]);
        var loaded = PictureFile.Decode(Bytes(samples[index].Picture, name), name, reading with { MinSide = minSide });
        return new SourcePicture(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    private static IEnumerable<string> Expand(string pattern)
    {
        var (open, close) = (pattern.IndexOf('{', StringComparison.Ordinal), pattern.IndexOf('}', StringComparison.Ordinal));
        if (open >= 0 && close > open && !File.Exists(pattern))
            return Range(pattern, pattern[(open + 1)..close].Split(".."))
                .SelectMany(number => Expand(pattern[..open] + number + pattern[(close + 1)..]));
        if (!Directory.Exists(pattern))
            return [Path.GetFullPath(pattern)];
        string[] found = [.. Directory.EnumerateFiles(pattern, "*" + Ending).Order(StringComparer.Ordinal)];
        return found.Length > 0 ? found : throw new InputException($"The folder '{pattern}' holds no files that end in {Ending}.");
    }

    private static IEnumerable<string> Range(string pattern, string[] ends)
    {
        const int Most = 100_000;
        if (
            ends.Length != 2
            || !int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            || !int.TryParse(ends[1], NumberStyles.None, CultureInfo.InvariantCulture, out var last)
            || last < first
            || last - first >= Most
        )
            throw new InputException(
                $"'{pattern}' has no range of shards in its braces; write the first and the last number, as {{000000..000007}}."
            );
        return Enumerable.Range(first, last - first + 1).Select(n => n.ToString(CultureInfo.InvariantCulture).PadLeft(ends[0].Length, '0'));
    }

    private static object? Label(string text, string name)
    {
        if (FolderMetadata.OneLine(text) is not { } label)
            return null;
        if (!int.TryParse(label, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
            return label;
        return number is >= 0 and <= FolderMetadata.MaxLabel
            ? number
            : throw new InputException($"The label in {name} is {number}; give a name or a number from 0 to {FolderMetadata.MaxLabel}.");
    }

    private string Name(ShardSample sample, string extension) => $"'{sample.Key}.{extension}' of '{paths[sample.Picture.Shard]}'";

    private object? ReadJson(ShardRange range, string where, out string? caption)
    {
        using var entry = JsonLines.Parse(Text(range, where), "{\"text\": ..., \"label\": ...}", where);
        caption = (JsonLines.Text(entry.RootElement, "text", where) ?? JsonLines.Text(entry.RootElement, "caption", where)) is { } text
            ? FolderMetadata.OneLine(text)
            : null;
        return entry.RootElement.TryGetProperty("label", out var label) && label.ValueKind != JsonValueKind.Null
            ? FolderMetadata.Label(label, where)
            : null;
    }

    private string Text(ShardRange range, string name)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(Bytes(range, name));
        }
        catch (ArgumentException e)
        {
            throw new InputException($"{name} is no UTF-8 text.", e);
        }
    }

    private byte[] Bytes(ShardRange range, string name)
    {
        try
        {
            using var file = File.OpenHandle(paths[range.Shard]);
            var bytes = new byte[range.Length];
            for (var done = 0; done < bytes.Length; )
            {
                var read = RandomAccess.Read(file, bytes.AsSpan(done), range.Offset + done);
                if (read == 0)
                    throw new InputException($"{name} is cut off: the shard has become shorter since it was listed.");
                done += read;
            }

            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            throw new InputException($"Cannot read {name}: {e.Message}", e);
        }
    }
}
