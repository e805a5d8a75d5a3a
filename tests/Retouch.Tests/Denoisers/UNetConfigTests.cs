using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Denoisers.UNet;
using Retouch.Tests.Goldens;

namespace Retouch.Tests.Denoisers;

/// <summary><c>config.json</c> of U-Nets: reading, writing and rejection.</summary>
public sealed class UNetConfigTests
{
    [Theory]
    [InlineData("act_fn", "\"mish\"")]
    [InlineData("num_attention_heads", "8")]
    [InlineData("dual_cross_attention", "true")]
    [InlineData("time_embedding_type", "\"fourier\"")]
    [InlineData("encoder_hid_dim", "64")]
    [InlineData("dropout", "0.1")]
    [InlineData("cross_attention_norm", "\"layer_norm\"")]
    [InlineData("attention_type", "\"gated\"")]
    [InlineData("mid_block_type", "\"UNetMidBlock2DSimpleCrossAttn\"")]
    [InlineData("down_block_types", "[\"KDownBlock2D\", \"DownBlock2D\", \"DownBlock2D\"]")]
    [InlineData("down_block_types", "[\"DownBlock2D\"]")]
    [InlineData("attention_head_dim", "[2, 4]")]
    [InlineData("attention_head_dim", "\"two\"")]
    [InlineData("attention_head_dim", "5")]
    [InlineData("block_out_channels", "[8, 16, 24.5]")]
    [InlineData("only_cross_attention", "\"no\"")]
    [InlineData("norm_num_groups", "null")]
    [InlineData("norm_num_groups", "3")]
    [InlineData("sample_size", "[16, 16]")]
    [InlineData("addition_embed_type", "\"image\"")]
    [InlineData("addition_time_embed_dim", "7")]
    [InlineData("addition_time_embed_dim", "null")]
    [InlineData("projection_class_embeddings_input_dim", "null")]
    [InlineData("class_embed_type", "\"simple_projection\"")]
    [InlineData("class_embed_type", "\"projection\"")]
    [InlineData("num_class_embeds", "1")]
    [InlineData("resnet_time_scale_shift", "\"spatial\"")]
    [InlineData("transformer_layers_per_block", "[[1, 2], 1, 1]")]
    [InlineData("conv_in_kernel", "2")]
    [InlineData("cross_attention_dim", "[20, 20, 24]")]
    [InlineData("downsample_padding", "2")]
    public void An_invalid_member_is_named(string name, string value)
    {
        using var golden = GoldenCase.Open("unet_sdxl");
        var json = golden.ReadObject("config.json");
        json[name] = JsonNode.Parse(value);
        var error = Assert.Throws<InputException>(() => new UNet2DCondition(UNet2DConditionConfig.FromJson(json, "models/a/config.json")));
        Assert.Matches(name is "attention_head_dim" or "norm_num_groups" ? $"{name}" : $"models/a/config.json.*{name}", error.Message);
    }

    [Theory]
    [InlineData("unet_sd15")]
    [InlineData("unet_sdxl")]
    public void The_config_survives_a_round_trip(string name)
    {
        using var golden = GoldenCase.Open(name);
        var json = golden.ReadObject("config.json");
        var written = UNet2DConditionConfig.FromJson(json).ToJson();
        foreach (var (member, value) in written)
            Assert.True(JsonNode.DeepEquals(value, json[member]), member);
        Assert.True(JsonNode.DeepEquals(written, UNet2DConditionConfig.FromJson(written).ToJson()));
    }

    [Fact]
    public void Lists_by_block_survive_a_round_trip()
    {
        var json = JsonNode
            .Parse(
                """
                { "_class_name": "UNet2DConditionModel", "block_out_channels": [32, 64], "down_block_types": ["DownBlock2D",
                "CrossAttnDownBlock2D"],
                  "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "layers_per_block": [1, 2], "transformer_layers_per_block": [0, [2,
                  1]],
                  "reverse_transformer_layers_per_block": [[2, 1, 3], 0], "cross_attention_dim": [12, 12], "only_cross_attention": [true,
                  false], "mid_block_type": null }
                """
            )!
            .AsObject();
        var config = UNet2DConditionConfig.FromJson(json);
        var written = config.ToJson();
        foreach (var (member, value) in json)
            Assert.True(JsonNode.DeepEquals(value, written[member]), member);
        using var network = new UNet2DCondition(config);
        Assert.Equal(
            [
                "down_blocks.1.attentions.0.transformer_blocks.0",
                "down_blocks.1.attentions.0.transformer_blocks.1",
                "down_blocks.1.attentions.1.transformer_blocks.0",
                "up_blocks.0.attentions.0.transformer_blocks.0",
                "up_blocks.0.attentions.0.transformer_blocks.1",
                "up_blocks.0.attentions.1.transformer_blocks.0",
                "up_blocks.0.attentions.2.transformer_blocks.0",
                "up_blocks.0.attentions.2.transformer_blocks.1",
                "up_blocks.0.attentions.2.transformer_blocks.2",
            ],
            network
                .Parameters.All.Where(static p => p.Name.EndsWith("attn2.to_k.weight", StringComparison.Ordinal))
                .Select(static p => p.Name[..^".attn2.to_k.weight".Length])
        );
        Assert.Equal([64, 12], network.Parameters.Find("up_blocks.0.attentions.2.transformer_blocks.2.attn2.to_k.weight")!.Shape);
        Assert.DoesNotContain(network.Parameters.All, static p => p.Name.StartsWith("mid_block", StringComparison.Ordinal));
    }

    [Fact]
    public void An_empty_config_has_diffusers_defaults()
    {
        var config = UNet2DConditionConfig.FromJson([]);
        Assert.Equal([1280], config.CrossAttentionDim!);
        Assert.Equal([320, 640, 1280, 1280], config.BlockOutChannels);
        Assert.Equal("UNetMidBlock2DCrossAttn", config.MidBlockType);
        Assert.Null(UNet2DConditionConfig.FromJson(new JsonObject { ["cross_attention_dim"] = null }).CrossAttentionDim);
    }
}
