using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Autoencoders;

/// <summary>The asymmetric autoencoder against diffusers, with and without a mask.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class AsymmetricAutoencoderKlTests
{
    private const string Case = "asymmetric_autoencoder_kl";

    [Fact]
    public void Outputs_intermediates_and_gradients_equal_diffusers()
    {
        var before = Tensor.LiveCount;
        using (TensorScope.Enter())
        {
            using var golden = GoldenCase.Open(Case);
            using var network = Load(golden);
            network.Parameters.RequireGrad(true);
            var seen = AutoencoderGolden.Watch(golden, network);
            var image = golden.ReadLeaf("in.image");
            var moments = network.EncodeMoments(image);
            golden.Check("out.moments", moments);
            AutoencoderGolden.CheckPosterior(golden, Posterior.FromMoments(moments), network.Scale);
            AutoencoderGolden.CheckDecodingAndGradients(golden, network, network.Scale, seen, image, moments, "in.cot_moments");
            golden.Check(
                "out.decoded_masked",
                network.Decode(
                    new Latent(network.Scale(golden.Read("in.latent"))),
                    golden.Read("in.image_for_mask"),
                    golden.Read("in.mask")
                )
            );
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_mask_of_ones_has_no_effect_and_zeros_discard_the_latent(bool checkpoint)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(Case);
        using var network = Load(golden);
        var image = golden.Read("in.image_for_mask");
        var latent = new Latent(golden.Read("in.latent"));
        var other = new Latent(golden.Read("in.latent") * -2);
        var request = new TapRequest([1, 4], Rgb: true, checkpoint);
        var ones = network.DecodeWithTaps(latent, image, Ops.Ones([1L, 1, 32, 32]), request);
        var plain = network.DecodeWithTaps(latent, request);
        Assert.Equal(plain.Rgb!.ToArray<float>(), ones.Rgb!.ToArray<float>());
        Assert.Equal(plain.Features[1].ToArray<float>(), ones.Features[1].ToArray<float>());
        Assert.Equal(
            network.Decode(latent, image, Ops.Zeros([1L, 1, 32, 32])).ToArray<float>(),
            network.Decode(other, image, Ops.Zeros([1L, 1, 32, 32])).ToArray<float>()
        );
        Assert.NotEqual(network.Decode(latent).ToArray<float>(), network.Decode(other).ToArray<float>());
    }

    [Fact]
    public void The_full_size_network_has_the_published_keys()
    {
        var manifest = Manifest.Open("asymmetric_vae_x_1_5");
        using var network = new AsymmetricAutoencoderKl(AsymmetricAutoencoderKlConfig.FromJson(manifest.Config));
        manifest.Check(network.Parameters);
        Assert.Equal([768, 768, 768, 384, 192], network.Taps.Select(static t => t.Channels));
    }

    [Fact]
    public void A_configuration_survives_a_round_trip()
    {
        using var golden = GoldenCase.Open(Case);
        var json = golden.ReadObject("config.json");
        json["a_member_of_the_future"] = new JsonObject { ["x"] = 1 };
        var written = AsymmetricAutoencoderKlConfig.FromJson(json).ToJson();
        Assert.True(JsonNode.DeepEquals(json, written), written.ToJsonString());
    }

    [Theory]
    [InlineData("""{ "down_block_out_channels": [32, 64] }""", "up_block_out_channels")]
    [InlineData("""{ "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"] }""", "up_block_types")]
    [InlineData("""{ "layers_per_up_block": 0 }""", "layers_per_up_block")]
    [InlineData("""{ "scaling_factor": 0 }""", "scaling_factor")]
    public void Unsupported_members_are_rejected_by_name(string json, string member)
    {
        var error = Assert.Throws<InputException>(() =>
            AsymmetricAutoencoderKlConfig.FromJson(JsonNode.Parse(json)!.AsObject(), "vae/config.json")
        );
        Assert.Contains("vae/config.json", error.Message, StringComparison.Ordinal);
        Assert.Contains(member, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Masks_of_another_shape_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(Case);
        using var network = Load(golden);
        var (latent, image) = (new Latent(golden.Read("in.latent")), golden.Read("in.image_for_mask"));
        Assert.Contains(
            "the mask",
            Assert.Throws<InputException>(() => network.Decode(latent, image, Ops.Zeros([1L, 3, 32, 32]))).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "the image",
            Assert.Throws<InputException>(() => network.Decode(latent, Ops.Zeros([1L, 3, 16, 32]), golden.Read("in.mask"))).Message,
            StringComparison.Ordinal
        );
        using var flat = new AsymmetricAutoencoderKl(
            new AsymmetricAutoencoderKlConfig { DownBlockOutChannels = [32, 32], UpBlockOutChannels = [32, 32] }
        );
        Assert.Contains(
            "up_block_out_channels",
            Assert.Throws<InputException>(() => flat.Decode(new Latent(Ops.Zeros([1L, 4, 4, 4])), image, golden.Read("in.mask"))).Message,
            StringComparison.Ordinal
        );
    }

    private static AsymmetricAutoencoderKl Load(GoldenCase golden)
    {
        var network = new AsymmetricAutoencoderKl(AsymmetricAutoencoderKlConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }
}
