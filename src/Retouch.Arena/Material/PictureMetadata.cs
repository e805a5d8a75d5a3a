using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Data;

namespace Retouch.Arena.Material;

/// <summary>Metadata of one picture from metadata.jsonl, in the format of <c>retouch sample</c>.</summary>
/// <param name="Prompt">The member <c>prompt</c>, <c>text</c> or <c>caption</c>.</param>
/// <param name="Seed">The member <c>seed</c> as text; null if absent.</param>
/// <param name="Label">Class, the member <c>label</c>: an int or a string; null if absent.</param>
internal sealed record PictureMetadata(string? Prompt, string? Seed, object? Label)
{
    private static readonly PictureMetadata Nothing = new(null, null, null);
    private static readonly string[] PromptMembers = ["prompt", "text", "caption"];

    /// <summary>The metadata of each picture of a folder; a .txt file of the same name is the prompt if there is no other.</summary>
    /// <exception cref="InputException">A metadata.jsonl is broken.</exception>
    public static PictureMetadata[] Read(FolderScan scan)
    {
        var byPath = new Dictionary<string, PictureMetadata>(StringComparer.Ordinal);
        scan.ReadMetadata(
            "{\"file_name\": ..., \"prompt\": ...}",
            (path, entry, where) => byPath[path] = new(PromptOf(entry, where), Raw(entry, "seed"), LabelOf(entry, where))
        );
        return [.. scan.Pictures.Select(path => WithSidecar(byPath.GetValueOrDefault(path, Nothing), scan, path))];
    }

    private static PictureMetadata WithSidecar(PictureMetadata metadata, FolderScan scan, string picture) =>
        metadata.Prompt is null ? metadata with { Prompt = scan.CaptionBeside(picture) } : metadata;

    private static string? PromptOf(JsonElement root, string where)
    {
        foreach (var member in PromptMembers)
        {
            if (JsonLines.Text(root, member, where) is { } text)
                return FolderMetadata.OneLine(text);
        }

        return null;
    }

    private static object? LabelOf(JsonElement root, string where) =>
        root.TryGetProperty("label", out var value) && value.ValueKind != JsonValueKind.Null ? FolderMetadata.Label(value, where) : null;

    private static string? Raw(JsonElement root, string member) =>
        root.TryGetProperty(member, out var value) && value.ValueKind is JsonValueKind.Number or JsonValueKind.String
            ? value.ToString()
            : null;
}
