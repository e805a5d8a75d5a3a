using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Conditioning.Clip;

/// <summary>CLIP's encoders against transformers, and properties that need no golden.</summary>
public sealed class ClipTests
{
    [Theory]
    [InlineData("clip_text")]
    [InlineData("clip_text_with_projection")]
    public void Text_encoder_outputs_and_intermediates_equal_the_golden(string name)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        using var network = LoadText(golden);
        var seen = Observing.Watch(network.Parameters, () => CheckOutputs(golden, network));
        Assert.Equal(golden.Names("mid."), seen.Keys.Order(StringComparer.Ordinal));
        foreach (var (path, value) in seen)
            golden.Check($"mid.{path}", value);
        golden.Check(
            "out.last_hidden_state_masked",
            network.Forward(golden.Read("in.input_ids"), golden.Read("in.attention_mask")).LastHiddenState
        );
    }

    [Fact]
    public void Earlier_hidden_states_are_available()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("clip_text_with_projection");
        using var network = LoadText(golden);
        var ids = golden.Read("in.input_ids");
        for (var skip = 0; skip <= 3; skip++)
            golden.Check($"mid.hidden_states.{3 - skip}", network.Forward(ids, skip: skip).HiddenState!);
        Assert.Null(network.Forward(ids).HiddenState);
        golden.Check("out.last_hidden_state", network.FinalNorm(network.Forward(ids, skip: 0).HiddenState!));
        Assert.Throws<ArgumentOutOfRangeException>(() => network.Forward(ids, skip: 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => network.Forward(ids, skip: -1));
    }

    [Fact]
    public void The_pooled_state_is_at_the_first_end_of_text()
    {
        using var scope = TensorScope.Enter();
        foreach (var (eos, expected) in new[] { (98, 2), (2, 2), (7, 4), (50, 0) })
        {
            using var network = Fresh(
                new ClipTextConfig
                {
                    VocabSize = 99,
                    HiddenSize = 8,
                    IntermediateSize = 16,
                    NumHiddenLayers = 1,
                    NumAttentionHeads = 2,
                    EosTokenId = eos,
                }
            );
            var output = network.Forward(Tensor.From([97L, 5, 98, 98, 7], 1, 5));
            Assert.Equal(output.LastHiddenState.Select(1, expected).ToArray<float>(), output.Pooled.ToArray<float>());
        }
    }

    [Fact]
    public void Later_tokens_do_not_affect_earlier_ones()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("clip_text");
        using var network = LoadText(golden);
        var first = network.Forward(Tensor.From([97L, 5, 6, 7, 98], 1, 5)).LastHiddenState;
        var second = network.Forward(Tensor.From([97L, 5, 6, 80, 12], 1, 5)).LastHiddenState;
        Assert.Equal(first.Narrow(1, 0, 3).ToArray<float>(), second.Narrow(1, 0, 3).ToArray<float>());
        Assert.NotEqual(first.Select(1, 3).ToArray<float>(), second.Select(1, 3).ToArray<float>());
    }

    [Fact]
    public void Invalid_ids_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("clip_text");
        using var network = LoadText(golden);
        Assert.Contains("token 1 of prompt 1", Refused(Tensor.From([97L, 5, 97, 99], 2, 2)), StringComparison.Ordinal);
        Assert.Contains("0 to 98", Refused(Tensor.From([-1L], 1, 1)), StringComparison.Ordinal);
        Assert.Contains("at most 77", Refused(Ops.Zeros([1, 78], dtype: DType.Int64)), StringComparison.Ordinal);
        Assert.Contains("[3]", Refused(Ops.Zeros([3], dtype: DType.Int64)), StringComparison.Ordinal);
        Assert.Contains("Float32", Refused(Ops.Zeros([1, 3])), StringComparison.Ordinal);
        Assert.Contains(
            "mask",
            Refused(Ops.Zeros([1, 3], dtype: DType.Int64), Ops.Zeros([1, 2], dtype: DType.Int64)),
            StringComparison.Ordinal
        );

        string Refused(Tensor ids, Tensor? mask = null) => Assert.Throws<InputException>(() => network.Forward(ids, mask)).Message;
    }

    [Fact]
    public void Image_encoder_outputs_and_intermediates_equal_the_golden()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("clip_vision_with_projection");
        using var network = new ClipVisionModel(ClipVisionConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters, file: "model.safetensors");
        var seen = Observing.Watch(
            network.Parameters,
            () =>
            {
                var output = network.Forward(golden.Read("in.pixel_values"));
                golden.Check("out.image_embeds", output.ImageEmbeds);
                golden.Check("out.last_hidden_state", output.LastHiddenState);
            }
        );
        Assert.Equal(golden.Names("mid."), seen.Keys.Order(StringComparer.Ordinal));
        foreach (var (path, value) in seen)
            golden.Check($"mid.{path}", value);
        Assert.Contains(
            "[batch, 3, 28, 28]",
            Assert.Throws<InputException>(() => network.Forward(Ops.Zeros([1, 3, 28, 32]))).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Preprocessing_equals_transformers()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("clip_image_processor");
        var pictures = Enumerable.Range(0, 3).Select(k => Picture(golden.Read($"in.image{k}"))).ToList();
        var processed = new ClipImageProcessor(64).Process(pictures);
        Assert.Equal([3, 3, 64, 64], processed.Shape);
        for (var k = 0; k < 3; k++)
            golden.Check($"out.image{k}", processed.Select(0, k));
        Assert.Throws<ArgumentException>(static () => new ClipImageProcessor().Process([]));
        Assert.Throws<ArgumentOutOfRangeException>(static () => new ClipImageProcessor(0));

        static Picture Picture(Tensor pixels)
        {
            var picture = new Picture((int)pixels.Shape[1], (int)pixels.Shape[0]);
            pixels.Bytes().CopyTo(picture.Pixels);
            return picture;
        }
    }

    [Theory]
    [InlineData("clip_l_text")]
    [InlineData("openclip_h_text")]
    [InlineData("openclip_bigg_text")]
    public void Published_text_encoders_have_these_keys_and_shapes(string name)
    {
        using var network = new ClipTextModel(ClipTextConfig.FromJson(Manifest.Open(name).Config));
        Manifest.Open(name).Check(network.Parameters);
    }

    [Fact]
    public void The_published_image_encoder_has_these_keys_and_shapes()
    {
        using var network = new ClipVisionModel(ClipVisionConfig.FromJson(Manifest.Open("clip_l_vision").Config));
        Manifest.Open("clip_l_vision").Check(network.Parameters);
    }

    [Theory]
    [InlineData("hidden_act", "\"swish\"", "hidden_act")]
    [InlineData("num_attention_heads", "5", "num_attention_heads")]
    [InlineData("hidden_size", "\"24\"", "hidden_size")]
    [InlineData("vocab_size", "0", "vocab_size")]
    public void Invalid_members_are_rejected(string name, string value, string named)
    {
        using var golden = GoldenCase.Open("clip_text");
        var json = golden.ReadObject("config.json");
        json[name] = JsonNode.Parse(value);
        Assert.Contains(named, Assert.Throws<InputException>(() => ClipTextConfig.FromJson(json)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_is_written_as_it_was_read()
    {
        foreach (var name in (string[])["clip_text", "clip_text_with_projection"])
        {
            using var golden = GoldenCase.Open(name);
            var json = golden.ReadObject("config.json");
            foreach (var (member, value) in ClipTextConfig.FromJson(json).ToJson())
                Assert.True(JsonNode.DeepEquals(value, json[member]), member);
        }

        using var vision = GoldenCase.Open("clip_vision_with_projection");
        foreach (var (member, value) in ClipVisionConfig.FromJson(vision.ReadObject("config.json")).ToJson())
            Assert.True(JsonNode.DeepEquals(value, vision.ReadObject("config.json")[member]), member);
    }

    private static void CheckOutputs(GoldenCase golden, ClipTextModel network)
    {
        var output = network.Forward(golden.Read("in.input_ids"));
        golden.Check("out.last_hidden_state", output.LastHiddenState);
        Assert.Equal(network.Config.WithProjection, output.Projected is not null);
        if (output.Projected is null)
            golden.Check("out.pooler_output", output.Pooled);
        else
            golden.Check("out.text_embeds", output.Projected);
    }

    private static ClipTextModel LoadText(GoldenCase golden)
    {
        var network = new ClipTextModel(ClipTextConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters, file: "model.safetensors");
        return network;
    }

    private static ClipTextModel Fresh(ClipTextConfig config)
    {
        using var generator = Generator.Create(Device.Cpu, 3);
        var network = new ClipTextModel(config);
        network.Parameters.Initialise(generator, Device.Cpu);
        return network;
    }
}
