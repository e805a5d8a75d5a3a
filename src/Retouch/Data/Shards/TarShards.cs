using System.Globalization;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Images;

namespace Retouch.Data.Shards;

/// <summary>
/// Pictures in tar shards of webdataset's layout: files with the same key (<c>000017.jpg</c>, <c>000017.txt</c>, <c>000017.json</c>,
/// <c>000017.cls</c>) are a sample. Shards are indexed once by their headers and then read at random; nothing is unpacked.
/// <list type="bullet">
/// <item>Captions: <c>text</c> or <c>caption</c> of the json, else the txt.</item>
/// <item>Labels: <c>label</c> of the json, else the cls, a number or a name; else the folder of the key, as in an image folder.</item>
/// </list>
/// </summary>
public sealed class TarShards : IPictureSource
{
    private const string Ending = ".tar";

    private readonly string[] _paths;
    private readonly string[] _names;
    private readonly ShardSample[] _samples;
    private readonly PictureReading _reading;
    private readonly FolderLabels _labels;
    private readonly IReadOnlyList<string>[] _captions;
    private readonly Lazy<IReadOnlyList<string>> _notes;

    private TarShards(
        string[] paths,
        ShardSample[] found,
        IReadOnlyList<string> unread,
        PictureReading reading,
        DataSplit? wanted,
        bool isPreference
    )
    {
        (_paths, _reading) = (paths, reading);
        _names = Array.ConvertAll(paths, static p => Path.GetFileName(p));
        // Shards of the same name in different folders are distinguished by their full paths.
        if (_names.Distinct(StringComparer.Ordinal).Count() < _names.Length)
            _names = paths;
        string[] pictures = [.. found.Select(static s => s.Key + s.Extension)];
        var companions = Companions.Find([.. found.Select(s => $"{s.Picture.Shard}/{s.Key}{s.Extension}")], static _ => false);
        found = [.. found.Where((_, k) => !companions.Contains(k))];
        _captions = new IReadOnlyList<string>[found.Length];
        var given = new object?[found.Length];
        for (var k = 0; k < found.Length; k++)
        {
            _captions[k] = [];
            if (found[k].Others.TryGetValue("json", out var json))
                (given[k], _captions[k]) = ReadJson(json, Name(found[k], "json"));
            if (given[k] is null && found[k].Others.TryGetValue("cls", out var cls))
                given[k] = Label(Text(cls, Name(found[k], "cls")), Name(found[k], "cls"));
        }

        var splits = FolderSplits.Find([.. found.Select(static s => s.Key + s.Extension)]);
        _labels = FolderLabels.Assign(splits.Paths, given);
        var chosen = splits.Choose(wanted, isPreference, string.Join(", ", _names.Take(3)));
        _samples = [.. chosen.Select(k => found[k])];
        _captions = [.. chosen.Select(k => _captions[k])];
        _labels = _labels with { Labels = [.. chosen.Select(k => _labels.Labels[k])] };
        _notes = new(() => [.. Describe(unread, companions, pictures, splits, chosen)]);
    }

    /// <inheritdoc/>
    public int Count => _samples.Length;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _labels.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _labels.AreNumbers;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => _notes.Value;

    /// <inheritdoc/>
    public Sample this[int index] =>
        Sample.Of(
            $"{_names[_samples[index].Picture.Shard]}/{_samples[index].Key}{_samples[index].Extension}",
            _labels.Labels[index],
            CaptionsOf(index)
        );

    /// <summary>Lists shards with all their splits.</summary>
    /// <param name="shards">Files, folders (their *.tar), or names as <see cref="ShardNames.Expand"/> reads them.</param>
    /// <param name="reading">Decoder options; <see cref="PictureReading.MinSide"/> is set by each <see cref="Load"/> call.</param>
    /// <exception cref="InputException">A shard is missing, malformed or refused, or there are no pictures.</exception>
    public static TarShards Open(IReadOnlyList<string> shards, PictureReading? reading = null) =>
        Open(shards, reading, null, isPreference: false);

    /// <summary>Lists one split of shards whose keys have split folders.</summary>
    /// <param name="shards">See <see cref="Open(IReadOnlyList{string}, PictureReading?)"/>.</param>
    /// <param name="split">See <see cref="ImageFolder.OpenSplit"/>.</param>
    /// <param name="reading">See <see cref="Open(IReadOnlyList{string}, PictureReading?)"/>.</param>
    /// <param name="readsMasks">Whether <c>KEY.mask.png</c> is the mask of a picture; otherwise it is skipped.</param>
    /// <exception cref="InputException">See <see cref="Open(IReadOnlyList{string}, PictureReading?)"/>; or the split does not
    /// exist.</exception>
    public static TarShards OpenSplit(
        IReadOnlyList<string> shards,
        DataSplit? split,
        PictureReading? reading = null,
        bool readsMasks = false
    ) => Open(shards, reading, split ?? DataSplit.Train, isPreference: split is null, readsMasks);

    private static TarShards Open(
        IReadOnlyList<string> shards,
        PictureReading? reading,
        DataSplit? wanted,
        bool isPreference,
        bool readsMasks = false
    )
    {
        ArgumentNullException.ThrowIfNull(shards);
        string[] files = [.. shards.SelectMany(static s => ShardNames.Expand(s, Ending))];
        if (files.Length == 0)
            throw new InputException("No shards were given; give tar files, or a folder of them.");
        List<string> unread = [];
        ShardSample[] found = [.. files.SelectMany((file, k) => ShardIndex.Read(file, k, unread, readsMasks))];
        return found.Length > 0
            ? new TarShards(files, found, unread, reading ?? PictureReading.Default, wanted, isPreference)
            : throw new InputException(
                $"The shards contain no pictures: {string.Join(", ", files.Take(5))}{(files.Length > 5 ? ", …" : "")}. Samples need "
                    + $"a file with one of the extensions {string.Join(", ", PictureFile.Extensions)}."
            );
    }

    /// <inheritdoc/>
    public string Stamp(int index) =>
        new FileInfo(_paths[_samples[index].Picture.Shard]) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}-{file.LastWriteTimeUtc.Ticks}-{_samples[index].Picture.Offset}")
            : "gone";

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index)
    {
        var name = Name(_samples[index], _samples[index].Extension[1..]);
        var info = PictureFile.Probe(Bytes(_samples[index].Picture, name), name, _reading);
        return (info.Width, info.Height);
    }

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0)
    {
        var name = this.Name(_samples[index], _samples[index].Extension[1..]);
        var loaded = PictureFile.Decode(Bytes(_samples[index].Picture, name), name, _reading with { MinSide = minSide });
        return new SourcePicture(loaded.Picture, loaded.Info.Width, loaded.Info.Height);
    }

    /// <inheritdoc/>
    public bool HasMask(int index) => _samples[index].Mask is not null;

    /// <inheritdoc/>
    public Picture? LoadMask(int index)
    {
        if (_samples[index].Mask is not { } mask)
            return null;
        var name = Name(_samples[index], mask.Extension);
        return PictureFile.Decode(Bytes(mask.Range, name), name, _reading).Picture;
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

    private string Name(ShardSample sample, string extension) => $"'{sample.Key}.{extension}' of '{_paths[sample.Picture.Shard]}'";

    private IReadOnlyList<string> CaptionsOf(int index)
    {
        var sample = _samples[index];
        if (_captions[index].Count > 0 || !sample.Others.TryGetValue("txt", out var txt))
            return _captions[index];
        return FolderMetadata.OneLine(Text(txt, Name(sample, "txt"))) is { } caption ? [caption] : [];
    }

    private IEnumerable<string> Describe(
        IReadOnlyList<string> unread,
        Companions companions,
        string[] pictures,
        FolderSplits splits,
        int[] chosen
    )
    {
        if (unread.Count > 0)
        {
            yield return $"{unread.Count} files of the shards are skipped: unsupported formats, or companions of another picture; "
                + $"the first is '{Excerpt.Of(unread[0])}'.";
        }

        if (companions.Count > 0)
            yield return $"In the shards, {companions.Describe(pictures)!}.";
        if (splits.Any)
            yield return $"In the shards, {splits.Describe(chosen)}.";
        if (FolderNotes.SeveralCaptions(_captions) is { } several)
            yield return $"In the shards, {several}.";
    }

    private (object? Label, IReadOnlyList<string> Captions) ReadJson(ShardRange range, string where)
    {
        using var entry = JsonLines.Parse(Text(range, where), "{\"text\": ..., \"label\": ...}", where);
        var hasLabel = entry.RootElement.TryGetProperty("label", out var label) && label.ValueKind != JsonValueKind.Null;
        return (hasLabel ? FolderMetadata.Label(label, where) : null, FolderMetadata.CaptionsOf(entry.RootElement, where));
    }

    private string Text(ShardRange range, string name) => PlainText.Decode(Bytes(range, name), name);

    private byte[] Bytes(ShardRange range, string name)
    {
        try
        {
            using var file = File.OpenHandle(_paths[range.Shard]);
            var bytes = new byte[range.Length];
            for (var done = 0; done < bytes.Length; )
            {
                var read = RandomAccess.Read(file, bytes.AsSpan(done), range.Offset + done);
                if (read == 0)
                    throw new InputException($"{name} is truncated: the shard has become shorter since it was listed.");
                done += read;
            }

            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            throw new InputException($"Cannot read {name}: {Reasons.Of(e)}.", e);
        }
    }
}
