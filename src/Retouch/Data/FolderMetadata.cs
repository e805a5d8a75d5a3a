using System.Text.Json;
using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>
/// The metadata.jsonl files of a folder: a JSON object a line, <c>file_name</c> relative to the file it stands in, <c>text</c> or
/// <c>caption</c>, and <c>label</c>, a number or a name. Other members are the user's own and are passed over.
/// </summary>
/// <param name="Captions">By picture; null where none is given.</param>
/// <param name="Labels">By picture; an int, a string, or null.</param>
internal sealed record FolderMetadata(string?[] Captions, object?[] Labels)
{
    public const int MaxLabel = 999_999;

    public static FolderMetadata Read(FolderScan scan)
    {
        var metadata = new FolderMetadata(new string?[scan.Pictures.Count], new object?[scan.Pictures.Count]);
        if (scan.Metadata.Count == 0)
            return metadata;
        var indices = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < scan.Pictures.Count; i++)
            indices.Add(scan.Pictures[i], i);
        foreach (var file in scan.Metadata)
            metadata.Add(scan, file, indices);
        return metadata;
    }

    /// <summary>The text with every run of white space as one blank; null when nothing is left.</summary>
    public static string? OneLine(string text)
    {
        var line = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return line.Length == 0 ? null : line;
    }

    private void Add(FolderScan scan, string file, Dictionary<string, int> indices)
    {
        var folder = file.Contains('/') ? file[..(file.LastIndexOf('/') + 1)] : "";
        JsonLines.Read(
            scan.FullPath(file),
            "{\"file_name\": ..., \"text\": ...}",
            (entry, where) =>
            {
                var name =
                    JsonLines.Text(entry, "file_name", where)
                    ?? throw new InputException($"The member 'file_name' is missing in {where}; every line names its picture.");
                if (!indices.TryGetValue(folder + JsonLines.Tidy(name), out var index))
                    throw new InputException(
                        $"'{name}' in {where} is none of the pictures of the folder; correct the name or take the line out."
                    );
                if ((JsonLines.Text(entry, "text", where) ?? JsonLines.Text(entry, "caption", where)) is { } caption)
                    Captions[index] = OneLine(caption);
                if (entry.TryGetProperty("label", out var label) && label.ValueKind != JsonValueKind.Null)
                    Labels[index] = Label(label, where);
            }
        );
    }

    /// <summary>A class as metadata name it: an int, or a string.</summary>
    public static object Label(JsonElement label, string where) =>
        label.ValueKind switch
        {
            JsonValueKind.String => label.GetString()!,
            JsonValueKind.Number when label.TryGetInt32(out var number) && number is >= 0 and <= MaxLabel => number,
            _ => throw new InputException(
                $"The member 'label' is {label.GetRawText()} in {where}; give a name or a number from 0 to {MaxLabel}."
            ),
        };
}
