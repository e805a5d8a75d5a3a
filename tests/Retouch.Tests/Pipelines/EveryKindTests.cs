using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Pipelines;

/// <summary>Properties of all types of components, with the weights of their goldens.</summary>
public sealed class EveryKindTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Goldens that are folders of supported components.</summary>
    public static TheoryData<string> Cases => [.. Find().Keys.Order(StringComparer.Ordinal)];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_round_trip_is_byte_identical(string name)
    {
        var (model, stem) = Copy(name);
        var weights = stem + ".safetensors";
        var config = Path.Combine(model, "config.json");
        var text = File.ReadAllText(config);
        File.WriteAllText(config, text[..text.LastIndexOf('}')].TrimEnd() + ",\n  \"of_another_library\": [1e-05, \"\\u00e9\"]\n}\n");
        using (var component = ComponentFolder.Load(model, Device.Cpu, dtype: null))
        {
            ComponentFolder.Save(_folder["copy"], component);
            ComponentFolder.Save(_folder["shards"], component, maxShardBytes: 60_000);
        }

        Assert.Equal(File.ReadAllText(config), File.ReadAllText(Path.Combine(_folder["copy"], "config.json")));
        ComponentFolderTests.AssertSameTensors(Path.Combine(model, weights), Path.Combine(_folder["copy"], weights));
        CheckShards(Path.Combine(model, weights), stem, _folder["shards"], 60_000);
        using var again = ComponentFolder.Load(_folder["shards"], Device.Cpu, dtype: null);
        ComponentFolder.Save(_folder["whole"], again);
        ComponentFolderTests.AssertSameTensors(Path.Combine(model, weights), Path.Combine(_folder["whole"], weights));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void All_mismatched_keys_are_reported_at_once(string name)
    {
        using var scope = TensorScope.Enter();
        var (model, stem) = Copy(name);
        var weights = stem + ".safetensors";
        string missing,
            misshapen;
        using (var file = SafetensorsFile.Open(Path.Combine(model, weights)))
        {
            var names = file.Names.Order(StringComparer.Ordinal).ToList();
            (missing, misshapen) = (names[0], names[^1]);
            var changed = names
                .Skip(1)
                .Select(n => KeyValuePair.Create(n, n == misshapen ? Ops.Zeros([1L, 7, 1]) : file.Read(n).Clone()))
                .Append(KeyValuePair.Create("nobody.knows", Ops.Zeros([1L])))
                .ToList();
            SafetensorsWriter.Write(Path.Combine(_folder["changed"], weights), changed);
        }

        File.Copy(Path.Combine(model, "config.json"), Path.Combine(_folder["changed"], "config.json"));
        var error = Assert.Throws<InputException>(() => ComponentFolder.Load(_folder["changed"], Device.Cpu)).Message;
        Assert.Contains("(3 keys)", error, StringComparison.Ordinal);
        foreach (var part in new[] { $"missing: {missing} [", $"wrong shape: {misshapen} is [1, 7, 1]", "unexpected: nobody.knows" })
            Assert.Contains(part, error, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_component_has_a_golden()
    {
        var found = Find().Values.ToHashSet();
        // The project's own network has no counterpart in another library.
        Assert.Empty(
            ComponentRegistry
                .Kinds.Where(k => !found.Contains(k) && !k.ClassNames[0].StartsWith("Retouch", StringComparison.Ordinal))
                .Select(static k => k.ClassNames[0])
        );
    }

    [Theory]
    [InlineData("vae")]
    [InlineData("vae_sharded")]
    public void Pickled_weights_are_read_without_safetensors(string folder)
    {
        using var component = ComponentFolder.Load(Path.Combine(GoldenCase.Root(), "pickle", folder), Device.Cpu);
        var all = ComponentRegistry.Of(component.Network).Parameters(component.Network).All;
        Assert.Equal(34, all.Count);
        for (var k = 0; k < all.Count; k++)
            Assert.Equal(Enumerable.Range(k, (int)all[k].Count).Select(static i => ((i % 17) / 16f) - 0.5f), all[k].Value.ToArray<float>());
        ComponentFolder.Save(_folder["safe"], component);
        Assert.True(File.Exists(Path.Combine(_folder["safe"], "diffusion_pytorch_model.safetensors")));
    }

    private static Dictionary<string, ComponentKind> Find()
    {
        var cases = new Dictionary<string, ComponentKind>(StringComparer.Ordinal);
        foreach (var folder in Directory.EnumerateDirectories(GoldenCase.Root()))
        {
            var config = Path.Combine(folder, "config.json");
            if (!File.Exists(config))
                continue;
            try
            {
                var kind = ComponentRegistry.Find(JsonNode.Parse(File.ReadAllText(config))!.AsObject(), config);
                if (File.Exists(Path.Combine(folder, kind.WeightStem + ".safetensors")))
                    cases[Path.GetFileName(folder)] = kind;
            }
            catch (InputException)
            {
                // Configuration of another class.
            }
        }

        return cases;
    }

    private static void CheckShards(string whole, string stem, string folder, long most)
    {
        using var scope = TensorScope.Enter();
        using var expected = SafetensorsFile.Open(whole);
        var index = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, $"{stem}.safetensors.index.json")))!;
        var map = index["weight_map"]!.AsObject().ToDictionary(static p => p.Key, static p => p.Value!.GetValue<string>());
        Assert.Equal(expected.Names.Order(StringComparer.Ordinal), map.Keys);
        Assert.Equal(expected.Entries.Values.Sum(static e => e.Length), (long)index["metadata"]!["total_size"]!);
        var files = map.Values.Distinct().Order(StringComparer.Ordinal).ToList();
        Assert.True(files.Count > 1);
        Assert.Equal(Enumerable.Range(1, files.Count).Select(k => $"{stem}-{k:D5}-of-{files.Count:D5}.safetensors"), files);
        foreach (var name in files)
        {
            using var file = SafetensorsFile.Open(Path.Combine(folder, name));
            Assert.Equal(
                map.Where(p => p.Value == name).Select(static p => p.Key).Order(StringComparer.Ordinal),
                file.Names.Order(StringComparer.Ordinal)
            );
            Assert.True(file.Entries.Count == 1 || file.Entries.Values.Sum(static e => e.Length) <= most);
        }
    }

    private (string Folder, string Stem) Copy(string name)
    {
        var stem = Find()[name].WeightStem;
        var target = Directory.CreateDirectory(_folder["model"]).FullName;
        foreach (var file in new[] { "config.json", stem + ".safetensors" })
            File.Copy(Path.Combine(GoldenCase.Root(), name, file), Path.Combine(target, file));
        return (target, stem);
    }
}
