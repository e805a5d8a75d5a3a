using System.Text.Json.Nodes;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Goldens;

/// <summary>Configuration, keys and shapes of a published full-size network (tests/goldens/manifests), without weights.</summary>
internal sealed class Manifest
{
    private readonly JsonNode _json;

    private Manifest(JsonNode json) => _json = json;

    /// <summary>A copy of its config.json.</summary>
    public JsonObject Config => _json["config"]!.DeepClone().AsObject();

    /// <summary>Opens <c>tests/goldens/manifests/&lt;name&gt;.json</c>.</summary>
    public static Manifest Open(string name)
    {
        using var golden = GoldenCase.Open("dit");
        return new Manifest(JsonNode.Parse(File.ReadAllText(Path.Combine(golden.Folder, "..", "manifests", name + ".json")))!);
    }

    /// <summary>Asserts that a network has exactly the published keys and shapes and as many parameters, in whatever order, and no memory for them yet.</summary>
    public void Check(ParameterStore store)
    {
        var expected = _json["tensors"]!.AsObject().Select(static p => $"{p.Key} {p.Value!.ToJsonString()}").Order(StringComparer.Ordinal);
        Assert.Equal(expected, store.All.Select(static p => $"{p.Name} [{string.Join(',', p.Shape)}]").Order(StringComparer.Ordinal));
        Assert.Equal((long)_json["parameter_count"]!, store.Count);
        Assert.DoesNotContain(store.All, static p => p.HasValue);
    }
}
