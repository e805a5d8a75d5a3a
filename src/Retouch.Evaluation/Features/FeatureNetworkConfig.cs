using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Evaluation.Features;

/// <summary>The shape of a feature network that Retouch trained itself, as its <c>config.json</c> holds it.</summary>
public sealed record FeatureNetworkConfig
{
    /// <summary>The class that the file names.</summary>
    public const string ClassName = "RetouchFeatures";

    /// <summary>Side of the pictures that the network sees.</summary>
    public int Size { get; init; } = 64;

    /// <summary>
    /// Channels of the first stage; each of the four has twice those of the one before, so there are eight times as many features.
    /// </summary>
    public int Channels { get; init; } = 32;

    /// <summary>Classes that it was trained to tell apart, in the order of their labels.</summary>
    public IReadOnlyList<string> Classes { get; init; } = [];

    /// <summary>The share of pictures that were kept from training whose class it finds.</summary>
    public double Accuracy { get; init; }

    /// <summary>Pictures that it was trained on.</summary>
    public int Pictures { get; init; }

    /// <summary>Features of a picture.</summary>
    public int Width => 8 * Channels;

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file, for messages.</param>
    /// <exception cref="InputException">The file is of another class, or a member is missing or out of range.</exception>
    public static FeatureNetworkConfig FromJson(JsonObject json, string origin)
    {
        var members = new JsonMembers(json, origin);
        if (members.Text("_class_name", "") != ClassName)
            throw new InputException($"'{origin}' describes no {ClassName}. Give a folder that 'retouch features' made.");
        var classes = json["classes"] as JsonArray ?? throw members.Wrong("classes", "a list of names");
        var config = new FeatureNetworkConfig
        {
            Size = members.Integer("size"),
            Channels = members.Integer("channels"),
            Classes =
            [
                .. classes.Select(c =>
                    c is JsonValue value && value.TryGetValue(out string? name) ? name : throw members.Wrong("classes", "a list of names")
                ),
            ],
            Accuracy = members.Number("accuracy", 0),
            Pictures = members.Integer("pictures", 0, atLeast: 0),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>As <c>config.json</c> holds it.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["_class_name"] = ClassName,
            ["size"] = Size,
            ["channels"] = Channels,
            ["classes"] = new JsonArray([.. Classes.Select(static c => (JsonNode)c)]),
            ["accuracy"] = Accuracy,
            ["pictures"] = Pictures,
        };

    private void Validate(string origin)
    {
        if (Size is < 16 or > 1024 || Size % 16 != 0)
            throw new InputException($"'{origin}': size is {Size}; it is a multiple of 16 up to 1024.");
        if (Channels is < 4 or > 1024 || Channels % 4 != 0)
            throw new InputException($"'{origin}': channels is {Channels}; it is a multiple of 4 up to 1024.");
        if (Classes.Count < 2)
            throw new InputException($"'{origin}': a classifier tells two classes or more apart, not {Classes.Count}.");
    }
}
