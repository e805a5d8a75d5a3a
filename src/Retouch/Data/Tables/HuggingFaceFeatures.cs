using System.Text.Json;

namespace Retouch.Data.Tables;

/// <summary>
/// Columns as the <c>datasets</c> library describes them in the file's metadata (<c>huggingface</c>): pictures, and class labels with
/// names.
/// </summary>
/// <param name="Pictures">Names of the picture columns.</param>
/// <param name="Classes">Class names by label, by column.</param>
internal sealed record HuggingFaceFeatures(IReadOnlyList<string> Pictures, IReadOnlyDictionary<string, IReadOnlyList<string>> Classes)
{
    /// <summary>Name of the metadata.</summary>
    public const string Key = "huggingface";

    /// <summary>No description.</summary>
    public static HuggingFaceFeatures None { get; } = new([], new Dictionary<string, IReadOnlyList<string>>());

    /// <summary>Reads a description.</summary>
    /// <param name="text">JSON: <c>info.features</c> with the <c>_type</c> of each column, and <c>names</c> of a ClassLabel.</param>
    /// <exception cref="JsonException">The text is not JSON.</exception>
    public static HuggingFaceFeatures Parse(string text)
    {
        using var json = JsonDocument.Parse(text);
        if (
            json.RootElement.ValueKind != JsonValueKind.Object
            || !json.RootElement.TryGetProperty("info", out var info)
            || info.ValueKind != JsonValueKind.Object
            || !info.TryGetProperty("features", out var features)
            || features.ValueKind != JsonValueKind.Object
        )
            return None;
        List<string> pictures = [];
        Dictionary<string, IReadOnlyList<string>> classes = new(StringComparer.Ordinal);
        foreach (var feature in features.EnumerateObject())
        {
            if (feature.Value.ValueKind != JsonValueKind.Object || !feature.Value.TryGetProperty("_type", out var type))
                continue;
            if (type.ValueEquals("Image"))
                pictures.Add(feature.Name);
            else if (
                type.ValueEquals("ClassLabel")
                && feature.Value.TryGetProperty("names", out var names)
                && names.ValueKind == JsonValueKind.Array
                && names.EnumerateArray().All(static n => n.ValueKind == JsonValueKind.String)
            )
                classes.Add(feature.Name, [.. names.EnumerateArray().Select(static n => n.GetString()!)]);
        }

        return new(pictures, classes);
    }
}
