using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// <c>model_index.json</c>: pipeline class, library and class of each component, and class names. Unknown members keep their bytes.
/// </summary>
internal sealed class PipelineIndex
{
    private const string LabelsName = "id2label";

    private readonly ConfigDocument _document;

    private PipelineIndex(ConfigDocument document) => (_document, Labels) = (document, ReadLabels(document.Json));

    /// <summary>Class names by label; empty without names.</summary>
    public IReadOnlyDictionary<int, string> Labels { get; }

    /// <summary>Content of the file.</summary>
    public string Text => _document.Text;

    /// <summary>Reads the index of a pipeline.</summary>
    /// <exception cref="InputException">The file is missing or invalid.</exception>
    public static PipelineIndex Read(string folder) => new(ConfigDocument.Read(Path.Combine(folder, PipelineLayout.IndexName)));

    /// <summary>Creates an index without components.</summary>
    public static PipelineIndex Create(string pipelineClass) =>
        new(ConfigDocument.Create(new JsonObject { ["_class_name"] = pipelineClass }));

    /// <summary>Creates an index with the class and the prompt-related members of another pipeline.</summary>
    /// <exception cref="InputException">The other file is missing or invalid.</exception>
    public static PipelineIndex ForPrompts(string folder)
    {
        var given = ConfigDocument.Read(Path.Combine(folder, PipelineLayout.IndexName)).Json;
        var kept = given.Where(static p =>
            p.Key == "_class_name"
            || p.Key.StartsWith("text_encoder", StringComparison.Ordinal)
            || p.Key.StartsWith("tokenizer", StringComparison.Ordinal)
            || p.Key.StartsWith("force_zeros", StringComparison.Ordinal)
        );
        return new(
            ConfigDocument.Create(new JsonObject(kept.Select(static p => KeyValuePair.Create(p.Key, p.Value?.DeepClone())).ToArray()))
        );
    }

    /// <summary>Adds a diffusers component.</summary>
    public PipelineIndex With(string component, string className) =>
        Change(index => index[component] = new JsonArray("diffusers", className));

    /// <summary>Sets class names and the scheduler class.</summary>
    public PipelineIndex With(IReadOnlyDictionary<int, string> labels, JsonObject schedulerConfig) =>
        Change(index =>
        {
            if (!Labels.OrderBy(static p => p.Key).SequenceEqual(labels.OrderBy(static p => p.Key)))
            {
                var names = labels
                    .OrderBy(static p => p.Key)
                    .Select(static p =>
                        KeyValuePair.Create(p.Key.ToString(CultureInfo.InvariantCulture), (JsonNode?)JsonValue.Create(p.Value))
                    );
                index[LabelsName] = new JsonObject(names);
            }

            if (index["scheduler"] is JsonArray { Count: 2 } entry && schedulerConfig["_class_name"] is { } scheduler)
                entry[1] = scheduler.DeepClone();
        });

    /// <summary>Components of the index that exist as folders and are not written from memory.</summary>
    public List<string> Companions(string source, string denoiserFolder) =>
        [
            .. _document
                .Json.Where(static p => p.Value is JsonArray { Count: 2 } entry && entry[0] is not null)
                .Select(static p => p.Key)
                .Where(name =>
                    name != "vae"
                    && name != "scheduler"
                    && name != denoiserFolder
                    && Path.GetFileName(name) == name
                    && Directory.Exists(Path.Combine(source, name))
                ),
        ];

    private PipelineIndex Change(Action<JsonObject> change)
    {
        var after = _document.Json;
        change(after);
        return new(_document.Change(_document.Json, after));
    }

    /// <summary>
    /// Names by label: a string with one name or several, separated by commas (<c>tench, Tinca tinca</c>), or a list of names. The
    /// labels are the keys of an object, or the positions in a list.
    /// </summary>
    private static Dictionary<int, string> ReadLabels(JsonObject index)
    {
        var labels = new Dictionary<int, string>();
        var named = index[LabelsName] switch
        {
            JsonObject names => names.Select(static p => (p.Key, p.Value)),
            JsonArray names => names.Select(static (value, k) => (k.ToString(CultureInfo.InvariantCulture), value)),
            null => [],
            var other => throw new InputException(
                $"{PipelineLayout.IndexName}: {LabelsName} is {JsonTexts.Shown(other)}; an object of names by label is expected."
            ),
        };
        foreach (var (key, value) in named)
        {
            if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var label) || NameOf(value) is not { } name)
                throw new InputException(
                    $"{PipelineLayout.IndexName}: {LabelsName} maps labels to names, but has '{key}': {JsonTexts.Shown(value)}."
                );
            labels[label] = name;
        }

        return labels;
    }

    private static string? NameOf(JsonNode? value) =>
        value is JsonArray { Count: > 0 } several
            ? several.Select(NameOf).ToArray() is var names && Array.TrueForAll(names, static n => n is not null)
                ? string.Join(", ", names)
                : null
            : value is JsonValue text && text.TryGetValue<string>(out var name)
                ? name
                : null;
}
