using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Perception;

/// <summary>Configuration of a feature network trained by Retouch, stored as <c>config.json</c>.</summary>
public sealed record FeatureNetworkConfig
{
    /// <summary>Value of the member <c>_class_name</c>.</summary>
    public const string ClassName = "RetouchFeatures";

    /// <summary>Side of the network's input in pixels.</summary>
    public int Size { get; init; } = 64;

    /// <summary>
    /// Channels of the first stage. Each of the four stages doubles them; features have eight times this width.
    /// </summary>
    public int Channels { get; init; } = 32;

    /// <summary>Names of the classes, in the order of their labels.</summary>
    public IReadOnlyList<string> Classes { get; init; } = [];

    /// <summary>Classification accuracy on held-out pictures, 0 to 1.</summary>
    public double Accuracy { get; init; }

    /// <summary>Number of training pictures.</summary>
    public int Pictures { get; init; }

    /// <summary>Width of the features.</summary>
    public int Width => 8 * Channels;

    /// <summary>File of the configuration in a folder of a feature network.</summary>
    public static string FileOf(string folder) => Path.Combine(folder, "config.json");

    /// <summary>Reads the configuration of a folder.</summary>
    /// <param name="folder">Folder written by <c>retouch features</c>.</param>
    /// <exception cref="InputException">The file is missing or damaged, or of another network.</exception>
    public static FeatureNetworkConfig Read(string folder)
    {
        var file = FileOf(folder);
        return FromJson(JsonFile.Object(file, "Give a folder written by 'retouch features'."), file);
    }

    /// <summary>Reads <c>config.json</c>.</summary>
    /// <param name="json">The JSON object.</param>
    /// <param name="origin">Path of the file, for messages.</param>
    /// <exception cref="InputException">The file has another class, or a member is missing or out of range.</exception>
    public static FeatureNetworkConfig FromJson(JsonObject json, string origin)
    {
        if (new JsonMembers(json, origin).Text("_class_name", "") != ClassName)
            throw new InputException($"'{origin}' is not a {ClassName}. Give a folder written by 'retouch features'.");
        var config = ConfigMembers.Read<FeatureNetworkConfig>(json, origin, Map);
        config.Validate(origin);
        return config;
    }

    /// <summary>The configuration as JSON.</summary>
    public JsonObject ToJson() => ConfigMembers.Write(this, Map);

    private void Validate(string origin)
    {
        if (Size % 16 != 0)
            throw new InputException($"'{origin}': size {Size} must be a multiple of 16, at most 1024.");
        if (Channels % 4 != 0)
            throw new InputException($"'{origin}': channels {Channels} must be a multiple of 4, at most 1024.");
        if (Classes.Count < 2)
            throw new InputException($"'{origin}': {Classes.Count} classes; a classifier needs at least 2.");
    }

    private static FeatureNetworkConfig Map(ConfigMembers members, FeatureNetworkConfig config)
    {
        members.Written("_class_name", ClassName);
        return config with
        {
            Accuracy = members.Number("accuracy", config.Accuracy),
            Channels = members.Integer("channels", config.Channels, atLeast: 4, atMost: 1024, required: true),
            Classes = members.List("classes", config.Classes, "a list of names"),
            Pictures = members.Integer("pictures", config.Pictures, atLeast: 0, atMost: int.MaxValue),
            Size = members.Integer("size", config.Size, atLeast: 16, atMost: 1024, required: true),
        };
    }
}
