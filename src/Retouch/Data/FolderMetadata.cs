using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Json;

namespace Retouch.Data;

/// <summary>
/// The metadata.jsonl files of a folder: one JSON object per line with <c>file_name</c> relative to the file, <c>text</c> or
/// <c>caption</c> (a string or a list of strings), and <c>label</c>, a number or a name. Other members are ignored. Several lines for a
/// picture give it several captions.
/// </summary>
internal sealed class FolderMetadata
{
    public const int MaxLabel = 999_999;

    private readonly List<string>?[] _captions;
    private readonly object?[] _labels;
    private readonly string?[] _where;
    private readonly int?[] _masks;

    private FolderMetadata(int count)
    {
        (_captions, _labels) = (new List<string>?[count], new object?[count]);
        (_where, _masks) = (new string?[count], new int?[count]);
    }

    /// <summary>Captions by picture, or null.</summary>
    public IReadOnlyList<IReadOnlyList<string>?> Captions => _captions;

    /// <summary>Labels by picture: an int, a string, or null.</summary>
    public IReadOnlyList<object?> Labels => _labels;

    /// <summary>Index of the mask by picture, or null.</summary>
    public IReadOnlyList<int?> Masks => _masks;

    /// <summary>Whether the metadata lists a picture.</summary>
    public bool IsListed(int index) => _where[index] is not null;

    /// <summary>Reads the files of a folder.</summary>
    /// <param name="scan">Files of the folder.</param>
    /// <param name="readsMasks">Whether to read the member <c>mask</c>, the name of a picture relative to the file.</param>
    /// <exception cref="InputException">A line is malformed, or names a file that does not exist.</exception>
    public static FolderMetadata Read(FolderScan scan, bool readsMasks = false)
    {
        var metadata = new FolderMetadata(scan.Pictures.Count);
        if (scan.Metadata.Count == 0)
            return metadata;
        var indices = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < scan.Pictures.Count; i++)
            indices.Add(scan.Pictures[i], i);
        scan.ReadMetadata(
            "{\"file_name\": ..., \"text\": ...}",
            (path, entry, where) =>
            {
                metadata.Add(path, entry, where, indices);
                if (readsMasks)
                    metadata.AddMask(path, entry, where, indices);
            }
        );
        return metadata;
    }

    /// <summary>Collapses white space to single spaces; null for blank text.</summary>
    public static string? OneLine(string text)
    {
        var line = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return line.Length == 0 ? null : line;
    }

    /// <summary>
    /// Captions of an entry: <c>text</c>, else <c>caption</c>; each a string or a list of strings. Duplicates and blank strings are
    /// removed.
    /// </summary>
    /// <exception cref="InputException">The member has another type.</exception>
    public static IReadOnlyList<string> CaptionsOf(JsonElement entry, string where)
    {
        foreach (var member in (string[])["text", "caption"])
        {
            if (!entry.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
                continue;
            if (value.ValueKind != JsonValueKind.Array)
                return OneLine(JsonLines.Text(entry, member, where)!) is { } single ? [single] : [];
            return
            [
                .. value
                    .EnumerateArray()
                    .Select(v =>
                        v.ValueKind == JsonValueKind.String
                            ? OneLine(v.GetString()!)
                            : throw new InputException($"The list '{member}' contains a value other than text in {where}; quote it.")
                    )
                    .OfType<string>()
                    .Distinct(StringComparer.Ordinal),
            ];
        }

        return [];
    }

    /// <summary>Class label: an int or a string.</summary>
    public static object Label(JsonElement label, string where) =>
        label.ValueKind switch
        {
            JsonValueKind.String => label.GetString()!,
            JsonValueKind.Number when label.TryGetInt32(out var number) && number is >= 0 and <= MaxLabel => number,
            _ => throw new InputException(
                $"The member 'label' is {JsonTexts.Shown(label)} in {where}; give a name or a number from 0 to {MaxLabel}."
            ),
        };

    private void Add(string path, JsonElement entry, string where, Dictionary<string, int> indices)
    {
        if (!indices.TryGetValue(path, out var index))
        {
            throw new InputException(
                $"'{Excerpt.Of(path)}' in {where} is not a picture of the folder; correct the name or remove the line."
            );
        }

        foreach (var caption in CaptionsOf(entry, where))
        {
            if ((_captions[index] ??= []).Contains(caption, StringComparer.Ordinal))
                continue;
            _captions[index]!.Add(caption);
        }

        if (entry.TryGetProperty("label", out var label) && label.ValueKind != JsonValueKind.Null)
            SetLabel(index, Label(label, where), where, path);
        _where[index] ??= where;
    }

    private void AddMask(string path, JsonElement entry, string where, Dictionary<string, int> indices)
    {
        if (JsonLines.Text(entry, "mask", where) is not { } name)
            return;
        var index = indices[path];
        // Both names are relative to the file.
        var folder = path[..^JsonLines.Tidy(JsonLines.Text(entry, "file_name", where)!).Length];
        if (!indices.TryGetValue(folder + JsonLines.Tidy(name), out var mask) || mask == index)
            throw new InputException($"The mask '{Excerpt.Of(name)}' in {where} is not another picture of the folder; correct its name.");
        _masks[index] = mask;
    }

    private void SetLabel(int index, object label, string where, string name)
    {
        if (_labels[index] is { } known && !known.Equals(label))
        {
            throw new InputException(
                $"'{Excerpt.Of(name)}' has the label {known} in {_where[index]} and {label} in {where}; a picture has one "
                    + $"class. Remove one of the labels."
            );
        }

        _labels[index] = label;
    }
}
