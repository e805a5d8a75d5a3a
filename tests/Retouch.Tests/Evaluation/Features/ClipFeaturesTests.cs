using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Perception;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>CLIP's embeddings as features; the network has its own tests.</summary>
public sealed class ClipFeaturesTests
{
    [Fact]
    public void Both_layouts_of_transformers_give_the_same_embeddings()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("clip_vision_with_projection");
        using var network = ClipFeatures.Open(golden.Folder, Device.Cpu);
        var config = golden.ReadObject("config.json");
        Assert.Equal(("clip", (int)config["projection_dim"]!), (network.Protocol.Key, network.Protocol.Width));
        Assert.Equal(FeatureWeights.Hash(golden.PathOf("model.safetensors")), network.Protocol.Sha256);
        var images = (TestTensors.Pictures(3, 40, 1) * 255).Round() / 255;
        var embeds = network.Extract(images);
        Assert.Equal([3L, network.Protocol.Width], embeds.Shape);

        // The same weights in a complete CLIPModel, with a nested configuration of the vision tower.
        using var folder = new TemporaryFolder();
        using (var weights = SafetensorsFile.Open(golden.PathOf("model.safetensors")))
        {
            SafetensorsWriter.Write(
                folder["model.safetensors"],
                [
                    .. weights.Names.Select(name => KeyValuePair.Create(name, weights.Read(name).Clone())),
                    new("text_model.final_layer_norm.weight", Ops.Ones([4])),
                    new("logit_scale", Ops.Ones([])),
                ]
            );
        }

        var vision = (JsonObject)config.DeepClone();
        vision.Remove("projection_dim");
        File.WriteAllText(
            folder["config.json"],
            new JsonObject { ["projection_dim"] = network.Protocol.Width, ["vision_config"] = vision }.ToJsonString()
        );
        using var whole = ClipFeatures.Open(folder.Path, Device.Cpu);
        Assert.Equal(embeds.ToArray<float>(), whole.Extract(images).ToArray<float>());
        Assert.Equal(
            embeds.Narrow(0, 1, 1).ToArray<float>(),
            whole.Extract(images.Narrow(0, 1, 1)).ToArray<float>(),
            static (a, b) => Math.Abs(a - b) < 1e-5
        );

        File.WriteAllText(folder["config.json"], "[1]");
        Assert.Throws<InputException>(() => ClipFeatures.Open(folder.Path, Device.Cpu));
        Assert.Throws<InputException>(() => ClipFeatures.Open(folder["nothing"], Device.Cpu));
    }
}
