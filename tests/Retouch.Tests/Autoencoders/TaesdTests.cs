using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Autoencoders;

/// <summary>Tiny autoencoders under their authors' keys.</summary>
public sealed class TaesdTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Original_keys_give_the_same_network_as_diffusers_keys()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_tiny");
        using (var weights = SafetensorsFile.Open(golden.PathOf("diffusion_pytorch_model.safetensors")))
        {
            foreach (var (half, shift) in new[] { ("encoder", 0), ("decoder", 1) })
            {
                var prefix = $"{half}.layers.";
                SafetensorsWriter.Write(
                    _folder[$"vae/taesd_{half}.safetensors"],
                    weights
                        .Names.Where(n => n.StartsWith(prefix, StringComparison.Ordinal))
                        .Select(n =>
                        {
                            var parts = n[prefix.Length..].Split('.', 2);
                            return KeyValuePair.Create(
                                $"{int.Parse(parts[0], System.Globalization.CultureInfo.InvariantCulture) + shift}.{parts[1]}",
                                weights.Read(n)
                            );
                        })
                );
            }
        }

        using var component = ComponentFolder.Load(_folder["vae"], Device.Cpu);
        var network = Assert.IsType<AutoencoderTiny>(component.Network);
        var expected = AutoencoderTinyConfig.FromJson(golden.ReadObject("config.json")).ToJson();
        expected.Remove("_diffusers_version");
        Assert.True(JsonNode.DeepEquals(expected, network.Config.ToJson()), network.Config.ToJson().ToJsonString());
        golden.Check("out.latents", network.EncodeMoments(golden.Read("in.image")));
        golden.Check("out.decoded", network.Decode(new Latent(golden.Read("in.latent"))));
        ComponentFolder.Save(_folder["copy"], component);
        using var again = ComponentFolder.Load(_folder["copy"], Device.Cpu);
        golden.Check("out.decoded", ((AutoencoderTiny)again.Network).Decode(new Latent(golden.Read("in.latent"))));
    }

    [Fact]
    public void Unrelated_files_are_rejected()
    {
        using var scope = TensorScope.Enter();
        SafetensorsWriter.Write(_folder["vae/x_encoder.safetensors"], [KeyValuePair.Create("0.weight", Ops.Zeros([4L, 3, 3, 3]))]);
        SafetensorsWriter.Write(_folder["vae/x_decoder.safetensors"], [KeyValuePair.Create("blocks.weight", Ops.Zeros([4L, 3, 3, 3]))]);
        Assert.Contains(
            "blocks.weight",
            Assert.Throws<InputException>(() => ComponentFolder.Load(_folder["vae"], Device.Cpu)).Message,
            StringComparison.Ordinal
        );
        SafetensorsWriter.Write(_folder["vae/x_decoder.safetensors"], [KeyValuePair.Create("1.weight", Ops.Zeros([4L]))]);
        Assert.Contains(
            "decoder does not start",
            Assert.Throws<InputException>(() => ComponentFolder.Load(_folder["vae"], Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }

    [SharedFact("models/taesd")]
    public void Published_weights_give_the_published_results()
    {
        var models = JsonNode.Parse(File.ReadAllText(SharedFactAttribute.PathOf("golden", "taesd_real", "case.json")))![
            "weights"
        ]!.AsObject();
        Assert.Equal(4, models.Count);
        foreach (var (name, facts) in models)
            Check(
                name,
                SharedFactAttribute.PathOf("golden", "taesd_real", facts!["file"]!.GetValue<string>()),
                (double)facts["tolerance_abs"]!
            );
        Check("taesd_diffusers", SharedFactAttribute.PathOf("golden", "taesd_real", "io.safetensors"), 1e-4);
    }

    /// <summary>The weights have the range [0, 1]; the file's values were computed with them alone.</summary>
    private static void Check(string model, string file, double tolerance)
    {
        using var scope = TensorScope.Enter();
        using var io = SafetensorsFile.Open(file);
        using var common = SafetensorsFile.Open(SharedFactAttribute.PathOf("golden", "taesd_real", "io.safetensors"));
        using var component = ComponentFolder.Load(SharedFactAttribute.PathOf("models", model), Device.Cpu);
        var network = (AutoencoderTiny)component.Network;
        foreach (var latents in io.Names.Where(static n => n.StartsWith("latents", StringComparison.Ordinal)))
        {
            using var inner = TensorScope.Enter();
            var suffix = latents["latents".Length..];
            var count = io.ShapeOf(latents)[0];
            var images = (io.Names.Contains("images" + suffix) ? io : common).Read("images" + suffix).Narrow(0, 0, count);
            Near(io.Read(latents), network.EncodeMoments((images * 2) - 1), $"{model} {latents}");
            Near(io.Read("decoded" + suffix), (network.Decode(new Latent(io.Read(latents))) + 1) / 2, $"{model} decoded{suffix}");
        }

        void Near(Tensor expected, Tensor actual, string what)
        {
            Assert.Equal(expected.Shape, actual.Shape);
            var error = (expected - actual).Abs().Max().Item();
            Assert.True(error <= tolerance, $"{what}: {error}");
        }
    }
}
