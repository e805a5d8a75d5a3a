using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Pipelines;

/// <summary>Folders of text and image encoders in transformers' layout, read and written back.</summary>
public sealed class TransformersFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("clip_text", "text_model.embeddings.position_ids")]
    [InlineData("clip_text_with_projection", null)]
    [InlineData("clip_vision_with_projection", "vision_model.embeddings.position_ids")]
    [InlineData("t5_encoder", "encoder.embed_tokens.weight")]
    public void A_round_trip_is_byte_identical(string name, string? buffer)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        Directory.CreateDirectory(_folder["model"]);
        File.Copy(golden.PathOf("config.json"), Path.Combine(_folder["model"], "config.json"));
        Dictionary<string, byte[]> expected;
        using (var file = SafetensorsFile.Open(golden.PathOf("model.safetensors")))
        {
            var tensors = file.Names.ToDictionary(static n => n, file.Read);
            if (buffer is not null)
                tensors[buffer] = buffer.EndsWith("position_ids", StringComparison.Ordinal)
                    ? Ops.Arange(77, dtype: DType.Int64).Unsqueeze(0)
                    : file.Read("shared.weight");
            SafetensorsWriter.Write(Path.Combine(_folder["model"], "model.safetensors"), tensors);
            expected = tensors.ToDictionary(static p => p.Key, static p => p.Value.Bytes().ToArray());
        }

        using (var component = ComponentFolder.Load(_folder["model"], Device.Cpu))
            ComponentFolder.Save(_folder["copy"], component);
        Assert.Equal(File.ReadAllText(golden.PathOf("config.json")), File.ReadAllText(Path.Combine(_folder["copy"], "config.json")));
        using var copy = SafetensorsFile.Open(Path.Combine(_folder["copy"], "model.safetensors"));
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), copy.Names.Order(StringComparer.Ordinal));
        foreach (var (key, bytes) in expected)
            Assert.True(copy.Read(key).Bytes().SequenceEqual(bytes), key);
        if (buffer?.EndsWith("position_ids", StringComparison.Ordinal) == true)
            Assert.Equal(DType.Int64, copy.Read(buffer).DType);
    }

    /// <summary>transformers 5.6 and later saves CLIPTextModel without <c>text_model.</c>; the values are the same.</summary>
    [Fact]
    public void Text_encoders_of_newer_versions_are_read()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("clip_text");
        Directory.CreateDirectory(_folder["new"]);
        File.Copy(golden.PathOf("config.json"), Path.Combine(_folder["new"], "config.json"));
        using (var file = SafetensorsFile.Open(golden.PathOf("model.safetensors")))
            SafetensorsWriter.Write(
                Path.Combine(_folder["new"], "model.safetensors"),
                file.Names.Select(n => KeyValuePair.Create(n["text_model.".Length..], file.Read(n)))
            );
        using var component = ComponentFolder.Load(_folder["new"], Device.Cpu);
        using var quiet = Autograd.NoGrad();
        golden.Check("out.last_hidden_state", ((ClipTextModel)component.Network).Forward(golden.Read("in.input_ids")).LastHiddenState);
    }

    [Fact]
    public void The_class_determines_the_projection()
    {
        using var golden = GoldenCase.Open("clip_text_with_projection");
        using var component = ComponentFolder.Load(golden.Folder, Device.Cpu);
        Assert.True(((ClipTextModel)component.Network).Config.WithProjection);
        Assert.Equal("CLIPTextModelWithProjection", component.ClassName);
        Directory.CreateDirectory(_folder["plain"]);
        File.Copy(golden.PathOf("model.safetensors"), Path.Combine(_folder["plain"], "model.safetensors"));
        var json = golden.ReadObject("config.json");
        json["architectures"] = new JsonArray("CLIPTextModel");
        File.WriteAllText(Path.Combine(_folder["plain"], "config.json"), json.ToJsonString());
        Assert.Contains(
            "unexpected: text_projection.weight",
            Assert.Throws<InputException>(() => ComponentFolder.Load(_folder["plain"], Device.Cpu)).Message,
            StringComparison.Ordinal
        );
        json["architectures"] = new JsonArray("BertModel");
        File.WriteAllText(Path.Combine(_folder["plain"], "config.json"), json.ToJsonString());
        Assert.Contains(
            "BertModel",
            Assert.Throws<InputException>(() => ComponentFolder.Load(_folder["plain"], Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }
}
