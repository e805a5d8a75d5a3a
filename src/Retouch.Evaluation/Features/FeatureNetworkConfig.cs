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
        if (new JsonMembers(json, origin).Text("_class_name", "") != ClassName)
            throw new InputException($"'{origin}' describes no {ClassName}. Give a folder that 'retouch features' made.");
        var config = ConfigMembers.Read<FeatureNetworkConfig>(json, origin, Map);
        config.Validate(origin);
        return config;
    }

    /// <summary>As <c>config.json</c> holds it.</summary>
    public JsonObject ToJson() => ConfigMembers.Write(this, Map);

    private void Validate(string origin)
    {
        if (Size % 16 != 0)
            throw new InputException($"'{origin}': size is {Size}; it is a multiple of 16 up to 1024.");
        if (Channels % 4 != 0)
            throw new InputException($"'{origin}': channels is {Channels}; it is a multiple of 4 up to 1024.");
        if (Classes.Count < 2)
            throw new InputException($"'{origin}': classes has {Classes.Count} names; a classifier tells two or more apart.");
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
