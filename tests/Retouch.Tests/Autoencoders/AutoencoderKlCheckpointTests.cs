using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Autoencoders;

/// <summary>Reading, writing and rejection of configurations and keys.</summary>
public sealed class AutoencoderKlCheckpointTests
{
    [Theory]
    [InlineData("autoencoder_kl_2level")]
    [InlineData("autoencoder_kl_16ch_noquant")]
    public void A_configuration_survives_a_round_trip(string name)
    {
        using var golden = GoldenCase.Open(name);
        var json = golden.ReadObject("config.json");
        json["a_member_of_the_future"] = new JsonObject { ["x"] = 1 };
        var written = AutoencoderKlConfig.FromJson(json).ToJson();
        Assert.True(JsonNode.DeepEquals(json, written), written.ToJsonString());
    }

    [Fact]
    public void Missing_members_have_diffusers_defaults()
    {
        var config = AutoencoderKlConfig.FromJson([]);
        Assert.Equal(
            (3, 3, 4, 1, 32),
            (config.InChannels, config.OutChannels, config.LatentChannels, config.LayersPerBlock, config.NormNumGroups)
        );
        Assert.Equal([64], config.BlockOutChannels);
        Assert.Equal(0.18215, config.ScalingFactor);
        Assert.True(
            config is { UseQuantConv: true, UsePostQuantConv: true, MidBlockAddAttention: true, ForceUpcast: true, ShiftFactor: null }
        );
    }

    [Theory]
    [InlineData("""{ "act_fn": "gelu" }""", "act_fn")]
    [InlineData("""{ "_class_name": "AutoencoderTiny" }""", "_class_name")]
    [InlineData("""{ "down_block_types": ["AttnDownEncoderBlock2D"] }""", "down_block_types")]
    [InlineData("""{ "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"] }""", "up_block_types")]
    [InlineData("""{ "block_out_channels": [] }""", "block_out_channels")]
    [InlineData("""{ "block_out_channels": [32, "64"] }""", "block_out_channels")]
    [InlineData("""{ "block_out_channels": [48] }""", "norm_num_groups")]
    [InlineData("""{ "latent_channels": 0 }""", "latent_channels")]
    [InlineData("""{ "layers_per_block": 1.5 }""", "layers_per_block")]
    [InlineData("""{ "scaling_factor": 0 }""", "scaling_factor")]
    [InlineData("""{ "latents_mean": [0, 0, 0, 0] }""", "latents_std")]
    [InlineData("""{ "latents_mean": [0, 0], "latents_std": [1, 1] }""", "latent_channels")]
    [InlineData("""{ "latents_mean": [0, 0, 0, 0], "latents_std": [1, 1, 1, 1], "shift_factor": 0.1 }""", "shift_factor")]
    public void Unsupported_members_are_rejected_by_name(string json, string member)
    {
        var error = Assert.Throws<InputException>(() => AutoencoderKlConfig.FromJson(JsonNode.Parse(json)!.AsObject(), "vae/config.json"));
        Assert.Contains("vae/config.json", error.Message, StringComparison.Ordinal);
        Assert.Contains(member, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Attention_keys_of_old_checkpoints_are_accepted()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var weights = SafetensorsFile.Open(golden.PathOf("diffusion_pytorch_model.safetensors"));
        var old = new Source(
            weights.Names.ToDictionary(
                static name =>
                    name.Replace("to_q.", "query.", StringComparison.Ordinal)
                        .Replace("to_k.", "key.", StringComparison.Ordinal)
                        .Replace("to_v.", "value.", StringComparison.Ordinal)
                        .Replace("to_out.0.", "proj_attn.", StringComparison.Ordinal),
                weights.Read
            )
        );
        Assert.Contains("decoder.mid_block.attentions.0.proj_attn.bias", old.Names);
        using var network = New(golden);
        network.Load(old, Device.Cpu, null, "old");
        golden.Check("out.decoded", network.Decode(new Latent(network.Scale(golden.Read("in.latent")))));
    }

    [Fact]
    public void All_mismatched_keys_are_reported_at_once()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var weights = SafetensorsFile.Open(golden.PathOf("diffusion_pytorch_model.safetensors"));
        var tensors = weights.Names.ToDictionary(static n => n, weights.Read);
        tensors.Remove("decoder.conv_in.bias");
        tensors["encoder.conv_out.bias"] = Ops.Zeros([3L]);
        tensors["decoder.up_blocks.7.nothing"] = Ops.Zeros([1L]);
        // Both names of one tensor: the file is ambiguous.
        tensors["encoder.mid_block.attentions.0.query.bias"] = Ops.Zeros([32L]);
        using var network = New(golden);
        var error = Assert.Throws<InputException>(() => network.Load(new Source(tensors), Device.Cpu, null, "broken.safetensors"));
        foreach (
            var part in new[]
            {
                "broken.safetensors",
                "missing: decoder.conv_in.bias [32]",
                "wrong shape: encoder.conv_out.bias is [3], the network has [8]",
                "unexpected: decoder.up_blocks.7.nothing",
                "unexpected: encoder.mid_block.attentions.0.query.bias",
            }
        )
            Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(network.Parameters.All, static p => p.HasValue);
    }

    [Fact]
    public void Float16_is_rejected_for_overflowing_networks()
    {
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var weights = SafetensorsFile.Open(golden.PathOf("diffusion_pytorch_model.safetensors"));
        using var network = New(golden);
        Assert.Contains(
            "float16",
            Assert.Throws<InputException>(() => network.Load(weights, Device.Cpu, DType.Float16, "vae")).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Invalid_images_latents_and_taps_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var network = AutoencoderKlTests.Load(golden);
        Assert.Contains(
            "divisible by 2",
            Assert.Throws<InputException>(() => network.EncodePosterior(Ops.Zeros([1L, 3, 15, 16]))).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<InputException>(() => network.EncodePosterior(Ops.Zeros([1L, 4, 16, 16])));
        Assert.Throws<InputException>(() => network.Decode(new Latent(Ops.Zeros([1L, 5, 4, 4]))));
        Assert.Throws<InputException>(() => network.Decode(new Latent(Ops.Zeros([4L, 4, 4]))));
        var latent = new Latent(Ops.Zeros([1L, 4, 4, 4]));
        foreach (var request in new TapRequest[] { new([]), new([3]), new([-1]), new([1, 0]), new([1, 1]) })
            Assert.Throws<ArgumentException>(() => network.DecodeWithTaps(latent, request));
    }

    private static AutoencoderKl New(GoldenCase golden) => new(AutoencoderKlConfig.FromJson(golden.ReadObject("config.json")));

    internal sealed class Source(Dictionary<string, Tensor> tensors) : ITensorSource
    {
        public IEnumerable<string> Names => tensors.Keys;

        public long[] ShapeOf(string name) => tensors[name].Shape;

        public Tensor Read(string name) => tensors[name];
    }
}
