using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Autoencoders;

/// <summary>The tiny autoencoder against diffusers, and its decoder's depth and recomputation.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class AutoencoderTinyTests
{
    [Fact]
    public void Outputs_intermediates_and_gradients_equal_diffusers()
    {
        var before = Tensor.LiveCount;
        using (TensorScope.Enter())
        {
            using var golden = GoldenCase.Open("autoencoder_tiny");
            using var network = Load(golden);
            network.Parameters.RequireGrad(true);
            var image = golden.ReadLeaf("in.image");
            var encoded = network.EncodeMoments(image);
            golden.Check("out.latents", encoded);
            var stored = network.ToUnitRange(encoded);
            golden.Check("out.scale_latents", stored);
            golden.Check("out.unscale_latents", network.FromUnitRange(stored));
            var bytes = (stored * 255).Round() / 255;
            golden.Check("out.forward", network.Decode(new Latent(network.Scale(network.FromUnitRange(bytes)))));

            var seen = AutoencoderGolden.Watch(golden, network);
            AutoencoderGolden.CheckDecodingAndGradients(golden, network, network.Scale, seen, image, encoded, "in.cot_latents");
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Recomputation_preserves_features_and_gradients_bitwise(bool frozen)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_tiny");
        using var network = Load(golden);
        network.Parameters.RequireGrad(!frozen);
        var plain = Run(checkpoint: false);
        var again = Run(checkpoint: true);
        Assert.Equal(plain, again);
        Assert.Equal(
            5 + (frozen ? 1 : 1 + network.Parameters.All.Count(static p => p.Name.StartsWith("decoder.", StringComparison.Ordinal))),
            plain.Count
        );

        List<float[]> Run(bool checkpoint)
        {
            var z = golden.ReadLeaf("in.latent");
            var decoded = network.DecodeWithTaps(new Latent(z), new TapRequest([0, 1, 2, 3], Rgb: true, Checkpoint: checkpoint));
            Autograd.Backward(
                decoded.Features.Select(static f => f.Square().Mean()).Aggregate(decoded.Rgb!.Square().Sum(), static (a, b) => a + b)
            );
            var gradients = network
                .Parameters.All.Select(static p => p.Value.Grad)
                .Prepend(z.Grad)
                .OfType<Tensor>()
                .Select(static g => g.ToArray<float>())
                .ToList();
            foreach (var parameter in network.Parameters.All)
                parameter.Value.Grad = null;
            return [.. decoded.Features.Append(decoded.Rgb!).Select(static f => f.ToArray<float>()), .. gradients];
        }
    }

    [Theory]
    [InlineData(new[] { 0 }, false, 3)]
    [InlineData(new[] { 1 }, false, 7)]
    [InlineData(new[] { 0, 3 }, false, 14)]
    [InlineData(new[] { 2 }, true, 15)]
    public void Layers_beyond_the_requested_taps_are_not_computed(int[] taps, bool rgb, int deepest)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_tiny");
        using var network = Load(golden);
        var seen = new List<string>();
        network.Parameters.Observer = (path, _) => seen.Add(path);
        var decoded = network.DecodeWithTaps(new Latent(network.Scale(golden.Read("in.latent"))), new TapRequest(taps, rgb));
        Assert.Equal(Enumerable.Range(0, deepest + 1).Select(static k => $"decoder.layers.{k}"), seen);
        Assert.Equal(rgb, decoded.Rgb is not null);
        foreach (var (tap, feature) in taps.Zip(decoded.Features))
        {
            golden.Check($"mid.{network.Taps[tap].Name}", feature);
            Assert.Equal([1, network.Taps[tap].Channels, 4 * network.Taps[tap].Scale, 6 * network.Taps[tap].Scale], feature.Shape);
        }
    }

    [Fact]
    public void Taps_are_the_ends_of_resolutions()
    {
        using var network = new AutoencoderTiny(new AutoencoderTinyConfig());
        Assert.Equal(
            ["decoder.layers.4", "decoder.layers.9", "decoder.layers.14", "decoder.layers.17"],
            network.Taps.Select(static t => t.Name)
        );
        Assert.Equal([1, 2, 4, 8], network.Taps.Select(static t => t.Scale));
        Assert.All(network.Taps, static t => Assert.Equal(64, t.Channels));
        Assert.Equal(8, network.Downsampling);
    }

    [Fact]
    public void The_full_size_network_has_the_published_keys()
    {
        var manifest = Manifest.Open("taesd");
        using var network = new AutoencoderTiny(AutoencoderTinyConfig.FromJson(manifest.Config));
        manifest.Check(network.Parameters);
    }

    [Fact]
    public void Encoding_is_deterministic_and_the_decoder_reverses_the_scaling()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_tiny");
        var json = golden.ReadObject("config.json");
        (json["scaling_factor"], json["shift_factor"]) = (0.5, 0.25);
        using var network = new AutoencoderTiny(AutoencoderTinyConfig.FromJson(json));
        golden.LoadInto(network.Parameters);
        using var generator = Generator.Create(Device.Cpu, 5);
        var image = golden.Read("in.image");
        var latent = network.Encode(image, generator).Value;
        Assert.Equal(network.Draw(network.EncodeMoments(image), null).Value.ToArray<float>(), latent.ToArray<float>());
        golden.Check("out.latents", (latent * 2) + 0.25);
        golden.Check("out.decoded", network.Decode(new Latent(network.Scale(golden.Read("in.latent")))));
    }

    [Fact]
    public void A_configuration_survives_a_round_trip()
    {
        using var golden = GoldenCase.Open("autoencoder_tiny");
        var json = golden.ReadObject("config.json");
        json["a_member_of_the_future"] = new JsonObject { ["x"] = 1 };
        var written = AutoencoderTinyConfig.FromJson(json).ToJson();
        Assert.True(JsonNode.DeepEquals(json, written), written.ToJsonString());
    }

    [Theory]
    [InlineData("""{ "act_fn": "gelu" }""", "act_fn")]
    [InlineData("""{ "_class_name": "AutoencoderKL" }""", "_class_name")]
    [InlineData("""{ "upsample_fn": "bilinear" }""", "upsample_fn")]
    [InlineData("""{ "upsampling_scaling_factor": 4 }""", "upsampling_scaling_factor")]
    [InlineData("""{ "encoder_block_out_channels": [64, 64, 64, 32] }""", "encoder_block_out_channels")]
    [InlineData("""{ "decoder_block_out_channels": [64] }""", "decoder_block_out_channels")]
    [InlineData("""{ "num_encoder_blocks": [1, 0, 3, 3] }""", "num_encoder_blocks")]
    [InlineData("""{ "num_decoder_blocks": [1, 3], "decoder_block_out_channels": [64, 64] }""", "num_decoder_blocks")]
    [InlineData("""{ "scaling_factor": 0 }""", "scaling_factor")]
    [InlineData("""{ "latent_magnitude": 0 }""", "latent_magnitude")]
    public void Unsupported_members_are_rejected_by_name(string json, string member)
    {
        var error = Assert.Throws<InputException>(() =>
            AutoencoderTinyConfig.FromJson(JsonNode.Parse(json)!.AsObject(), "vae/config.json")
        );
        Assert.Contains("vae/config.json", error.Message, StringComparison.Ordinal);
        Assert.Contains(member, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Invalid_images_and_latents_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_tiny");
        using var network = Load(golden);
        Assert.Throws<InputException>(() => network.EncodeMoments(Ops.Zeros([1L, 4, 16, 16])));
        Assert.Throws<InputException>(() => network.Decode(new Latent(Ops.Zeros([1L, 5, 4, 4]))));
        Assert.Throws<ArgumentException>(() => network.DecodeWithTaps(new Latent(Ops.Zeros([1L, 4, 4, 4])), new TapRequest([4])));
    }

    private static AutoencoderTiny Load(GoldenCase golden)
    {
        var network = new AutoencoderTiny(AutoencoderTinyConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }
}
