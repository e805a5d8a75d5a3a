using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Data;

namespace Retouch.Arena.Material;

/// <summary>What the metadata.jsonl files of a folder say of its pictures, as <c>retouch sample</c> writes them.</summary>
/// <param name="Prompt">The member <c>prompt</c>, <c>text</c> or <c>caption</c>.</param>
/// <param name="Seed">The member <c>seed</c> as it is written; null without one.</param>
/// <param name="Label">The member <c>label</c> as it is written; null without one.</param>
internal sealed record PictureMetadata(string? Prompt, string? Seed, string? Label)
{
    private static readonly PictureMetadata Nothing = new(null, null, null);
    private static readonly string[] PromptMembers = ["prompt", "text", "caption"];

    /// <summary>The metadata of each picture of a folder; a .txt file beside a picture is its prompt where there is no other.</summary>
    /// <exception cref="InputException">A metadata.jsonl is broken.</exception>
    public static PictureMetadata[] Read(FolderScan scan)
    {
        var byPath = new Dictionary<string, PictureMetadata>(StringComparer.Ordinal);
        foreach (var file in scan.Metadata)
        {
            var folder = file[..(file.LastIndexOf('/') + 1)];
            var number = 0;
            foreach (var line in File.ReadLines(scan.FullPath(file)))
            {
                number++;
                if (!string.IsNullOrWhiteSpace(line))
                {
                    var (name, metadata) = Parse(line, $"line {number} of '{scan.FullPath(file)}'");
                    byPath[folder + name] = metadata;
                }
            }
        }

        return [.. scan.Pictures.Select(path => WithSidecar(byPath.GetValueOrDefault(path, Nothing), scan, path))];
    }

    private static PictureMetadata WithSidecar(PictureMetadata metadata, FolderScan scan, string picture)
    {
        var text = Path.ChangeExtension(picture, ".txt");
        return metadata.Prompt is null && scan.Texts.Contains(text)
            ? metadata with
            {
                Prompt = FolderMetadata.OneLine(File.ReadAllText(scan.FullPath(text))),
            }
            : metadata;
    }

    private static (string Name, PictureMetadata Metadata) Parse(string line, string where)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var root = document.RootElement;
            if (
                root.ValueKind != JsonValueKind.Object
                || !root.TryGetProperty("file_name", out var name)
                || name.ValueKind != JsonValueKind.String
            )
                throw new InputException($"The member 'file_name' is missing in {where}; every line is an object that names its picture.");
            var tidy = name.GetString()!.Replace('\\', '/');
            return (
                tidy.StartsWith("./", StringComparison.Ordinal) ? tidy[2..] : tidy,
                new(PromptOf(root, where), Raw(root, "seed"), Raw(root, "label"))
            );
        }
        catch (JsonException e)
        {
            throw new InputException($"No valid JSON in {where}: {e.Message} Every line is one object.", e);
        }
    }

    private static string? PromptOf(JsonElement root, string where)
    {
        foreach (var member in PromptMembers)
        {
            if (!root.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
                continue;
            return value.ValueKind == JsonValueKind.String
                ? FolderMetadata.OneLine(value.GetString()!)
                : throw new InputException($"The member '{member}' is no text in {where}; put it in quotes.");
        }

        return null;
    }

    private static string? Raw(JsonElement root, string member) =>
        root.TryGetProperty(member, out var value) && value.ValueKind is JsonValueKind.Number or JsonValueKind.String
            ? value.ToString()
            : null;
}
