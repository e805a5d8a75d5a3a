using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Pipelines;

/// <summary>Component folders in diffusers' layout, read and written back.</summary>
public sealed class ComponentFolderTests : IDisposable
{
    private const string Weights = "diffusion_pytorch_model.safetensors";
    private readonly TemporaryFolder _folder = new();
    private readonly GoldenCase _golden = GoldenCase.Open("dit");

    public ComponentFolderTests()
    {
        Directory.CreateDirectory(Model);
        foreach (var name in (string[])["config.json", Weights])
            File.Copy(_golden.PathOf(name), Path.Combine(Model, name));
    }

    private string Model => _folder["model"];

    public void Dispose()
    {
        _golden.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_round_trip_is_byte_identical()
    {
        var config = Path.Combine(Model, "config.json");
        File.WriteAllText(
            config,
            File.ReadAllText(config)
                .Replace("\"dropout\"", "\"of_another_library\": [1e-05, \"\\u00e9\"],\n  \"dropout\"", StringComparison.Ordinal)
        );
        using (var component = ComponentFolder.Load(Model, Device.Cpu))
            ComponentFolder.Save(_folder["copy"], component);
        Assert.Equal(File.ReadAllText(config), File.ReadAllText(Path.Combine(_folder["copy"], "config.json")));
        AssertSameTensors(Path.Combine(Model, Weights), Path.Combine(_folder["copy"], Weights));
    }

    [Fact]
    public void A_read_folder_can_be_overwritten()
    {
        using var component = ComponentFolder.Load(Model, Device.Cpu);
        ComponentFolder.Save(Model, component);
        AssertSameTensors(_golden.PathOf(Weights), Path.Combine(Model, Weights));
    }

    [Fact]
    public void A_new_network_survives_a_round_trip()
    {
        using var generator = Generator.Create(Device.Cpu, 1);
        using var component = Component.Create(
            new DiTTransformer2D(
                new DiTConfig
                {
                    NumAttentionHeads = 2,
                    AttentionHeadDim = 8,
                    NumLayers = 1,
                    SampleSize = 8,
                    NumEmbedsAdaNorm = 5,
                }
            )
        );
        var network = (DiTTransformer2D)component.Network;
        network.Parameters.Initialise(generator, Device.Cpu);
        ComponentFolder.Save(_folder["new"], component);
        using var again = ComponentFolder.Load(_folder["new"], Device.Cpu);
        Assert.Equal(network.Config, ((DiTTransformer2D)again.Network).Config with { OutChannels = null });
        foreach (var (name, tensor) in network.Parameters.Tensors())
            Assert.Equal(tensor.ToArray<float>(), ((DiTTransformer2D)again.Network).Parameters.Find(name)!.Value.ToArray<float>());
    }

    [Theory]
    [InlineData(DType.BFloat16, 0.004)]
    [InlineData(DType.Float16, 0.0005)]
    public void Weights_are_stored_in_the_requested_type(DType type, double tolerance)
    {
        using var scope = TensorScope.Enter();
        using (var component = ComponentFolder.Load(Model, Device.Cpu))
            ComponentFolder.Save(_folder["narrow"], component, type);
        using var stored = SafetensorsFile.Open(Path.Combine(_folder["narrow"], Weights));
        using var original = SafetensorsFile.Open(_golden.PathOf(Weights));
        Assert.All(stored.Entries.Values, e => Assert.Equal(type, e.DType));
        foreach (var name in original.Names)
            Assert.True(
                (original.Read(name) - stored.Read(name).To(DType.Float32)).Abs().Max().Item()
                    <= tolerance * original.Read(name).Abs().Max().Item(),
                name
            );
        using var kept = ComponentFolder.Load(_folder["narrow"], Device.Cpu, dtype: null);
        Assert.Equal(type, ((DiTTransformer2D)kept.Network).Parameters.All[0].Value.DType);
    }

    [Fact]
    public void Weights_beyond_float16_are_rejected_and_the_old_folder_is_kept()
    {
        using var component = ComponentFolder.Load(Model, Device.Cpu);
        using var large = Ops.Full([32], 1e5);
        var error = Assert.Throws<InputException>(() =>
            ComponentFolder.Save(Model, component, DType.Float16, [KeyValuePair.Create("pos_embed.proj.bias", large)])
        );
        Assert.Contains("pos_embed.proj.bias", error.Message, StringComparison.Ordinal);
        AssertSameTensors(_golden.PathOf(Weights), Path.Combine(Model, Weights));
        Assert.Equal([Model], Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void A_weight_average_is_stored_instead_of_the_weights()
    {
        using var component = ComponentFolder.Load(Model, Device.Cpu);
        using var average = Ops.Full([32], 0.25);
        ComponentFolder.Save(_folder["ema"], component, tensors: [KeyValuePair.Create("pos_embed.proj.bias", average)]);
        using var stored = SafetensorsFile.Open(Path.Combine(_folder["ema"], Weights));
        using var tensor = stored.Read("pos_embed.proj.bias");
        Assert.All(tensor.ToArray<float>(), static v => Assert.Equal(0.25f, v));
        Assert.Throws<ArgumentException>(() =>
            ComponentFolder.Save(_folder["ema"], component, tensors: [KeyValuePair.Create("pos_embed.bias", average)])
        );
    }

    [Theory]
    [InlineData(null, "diffusion_pytorch_model.safetensors.index.json")]
    [InlineData("fp16", "diffusion_pytorch_model.safetensors.index.fp16.json")]
    [InlineData("fp16", "diffusion_pytorch_model.safetensors.fp16.index.json")]
    public void Shards_are_read_as_one_file(string? variant, string index)
    {
        Shard(index);
        using var component = ComponentFolder.Load(Model, Device.Cpu, variant: variant);
        ComponentFolder.Save(_folder["whole"], component);
        AssertSameTensors(_golden.PathOf(Weights), Path.Combine(_folder["whole"], Weights));
    }

    [Theory]
    [InlineData("fp16")]
    [InlineData(null)]
    public void The_only_variant_is_used(string? variant)
    {
        File.Move(Path.Combine(Model, Weights), Path.Combine(Model, "diffusion_pytorch_model.fp16.safetensors"));
        using var component = ComponentFolder.Load(Model, Device.Cpu, variant: variant);
        Assert.True(((DiTTransformer2D)component.Network).Parameters.All[0].HasValue);
        Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu, variant: "bf16"));
        File.Copy(
            Path.Combine(Model, "diffusion_pytorch_model.fp16.safetensors"),
            Path.Combine(Model, "diffusion_pytorch_model.bf16.safetensors")
        );
        if (variant is null)
            Assert.Contains(
                "fp16, bf16",
                Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu)).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void All_missing_shards_are_named()
    {
        Shard("diffusion_pytorch_model.safetensors.index.json");
        File.Delete(Path.Combine(Model, "part-0.safetensors"));
        File.Delete(Path.Combine(Model, "part-2.safetensors"));
        var error = Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu));
        Assert.Contains("2 of 3 shards: part-0.safetensors, part-2.safetensors", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../secret.safetensors")]
    [InlineData("/etc/secret.safetensors")]
    [InlineData("part-0.bin")]
    public void An_index_cannot_reach_outside_its_folder(string shard)
    {
        Shard("diffusion_pytorch_model.safetensors.index.json");
        File.WriteAllText(
            Path.Combine(Model, "diffusion_pytorch_model.safetensors.index.json"),
            new JsonObject { ["weight_map"] = new JsonObject { ["a"] = shard } }.ToJsonString()
        );
        Assert.Contains(
            shard,
            Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void All_mismatched_keys_are_named()
    {
        var config = Path.Combine(Model, "config.json");
        File.WriteAllText(
            config,
            File.ReadAllText(config)
                .Replace("\"num_layers\": 3", "\"num_layers\": 2", StringComparison.Ordinal)
                .Replace("\"num_embeds_ada_norm\": 10", "\"num_embeds_ada_norm\": 12", StringComparison.Ordinal)
        );
        var error = Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu)).Message;
        Assert.Contains("unexpected: transformer_blocks.2.attn1.to_k.bias", error, StringComparison.Ordinal);
        Assert.Contains(
            "wrong shape: transformer_blocks.1.norm1.emb.class_embedder.embedding_table.weight is [11, 32], the network has [13, 32]",
            error,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("UNet3DConditionModel", "DiTTransformer2DModel")]
    [InlineData("", "_class_name")]
    public void An_unknown_class_is_rejected_with_the_supported_ones(string name, string expected)
    {
        var json = _golden.ReadObject("config.json");
        json["_class_name"] = name.Length == 0 ? null : name;
        File.WriteAllText(Path.Combine(Model, "config.json"), json.ToJsonString());
        Assert.Contains(
            expected,
            Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Missing_files_are_named_with_the_existing_ones()
    {
        File.Move(Path.Combine(Model, Weights), Path.Combine(Model, "weights.bin"));
        var error = Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu)).Message;
        Assert.Contains("no diffusion_pytorch_model.safetensors", error, StringComparison.Ordinal);
        Assert.Contains("config.json, weights.bin", error, StringComparison.Ordinal);
        File.Delete(Path.Combine(Model, "config.json"));
        Assert.Contains(
            "config.json",
            Assert.Throws<InputException>(() => ComponentFolder.Load(Model, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "does not exist",
            Assert.Throws<InputException>(() => ComponentFolder.Load(_folder["nowhere"], Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }

    internal static void AssertSameTensors(string expected, string actual)
    {
        using var scope = TensorScope.Enter();
        using var a = SafetensorsFile.Open(expected);
        using var b = SafetensorsFile.Open(actual);
        Assert.Equal(a.Names.Order(StringComparer.Ordinal), b.Names.Order(StringComparer.Ordinal));
        foreach (var name in a.Names)
        {
            Assert.Equal(a.Entries[name].DType, b.Entries[name].DType);
            Assert.Equal(a.Entries[name].Shape, b.Entries[name].Shape);
            Assert.True(a.Read(name).Bytes().SequenceEqual(b.Read(name).Bytes()), name);
        }
    }

    private void Shard(string index)
    {
        using var scope = TensorScope.Enter();
        var path = Path.Combine(Model, Weights);
        using (var file = SafetensorsFile.Open(path))
        {
            var map = new JsonObject();
            foreach (
                var (k, names) in file
                    .Names.Index()
                    .GroupBy(static p => p.Index % 3, static p => p.Item)
                    .Select(static g => (g.Key, g.ToList()))
            )
            {
                SafetensorsWriter.Write(
                    Path.Combine(Model, $"part-{k}.safetensors"),
                    names.Select(n => KeyValuePair.Create(n, file.Read(n)))
                );
                foreach (var name in names)
                    map[name] = $"part-{k}.safetensors";
            }

            File.WriteAllText(
                Path.Combine(Model, index),
                new JsonObject
                {
                    ["metadata"] = new JsonObject { ["total_size"] = 0 },
                    ["weight_map"] = map,
                }.ToJsonString()
            );
        }

        File.Delete(path);
    }
}
