using System.IO.Compression;
using System.Text.Json.Nodes;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Goldens;

/// <summary>
/// Configuration, keys and shapes of a published full-size network (tests/goldens/manifests, plain or gzipped), without weights.
/// </summary>
internal sealed class Manifest
{
    private readonly JsonNode _json;

    private Manifest(JsonNode json) => _json = json;

    /// <summary>Copy of config.json.</summary>
    public JsonObject Config => _json["config"]!.DeepClone().AsObject();

    /// <summary>Number of trained elements.</summary>
    public long ParameterCount => (long)_json["parameter_count"]!;

    /// <summary>"key [shape]", buffers included.</summary>
    public IReadOnlyList<string> Tensors => [.. Shapes.Select(static p => $"{p.Key} [{string.Join(',', p.Value)}]")];

    /// <summary>Shapes by key, buffers included.</summary>
    public IReadOnlyDictionary<string, long[]> Shapes =>
        _json["tensors"]!
            .AsObject()
            .ToDictionary(static p => p.Key, static p => p.Value!.AsArray().Select(static v => (long)v!).ToArray(), StringComparer.Ordinal);

    /// <summary>Opens <c>tests/goldens/manifests/&lt;name&gt;.json</c> or <c>.json.gz</c>.</summary>
    public static Manifest Open(string name)
    {
        var path = Path.Combine(GoldenCase.Root(), "manifests", name + ".json");
        using Stream stream = File.Exists(path)
            ? File.OpenRead(path)
            : new GZipStream(File.OpenRead(path + ".gz"), CompressionMode.Decompress);
        return new Manifest(JsonNode.Parse(stream)!);
    }

    /// <summary>
    /// Asserts that a network has exactly the published keys and shapes, in any order, the same number of parameters, and no allocated
    /// memory.
    /// </summary>
    public void Check(ParameterStore store)
    {
        var found = store.All.Select(static p => $"{p.Name} [{string.Join(',', p.Shape)}]");
        Assert.Equal(Tensors.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
        Assert.Equal(ParameterCount, store.Count);
        Assert.DoesNotContain(store.All, static p => p.HasValue);
    }
}
