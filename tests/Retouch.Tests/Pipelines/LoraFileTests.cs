using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Pipelines.Lora;
using Retouch.Tests.Denoisers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Pipelines;

/// <summary>Low-rank adapters of whole denoisers, and their files.</summary>
public sealed class LoraFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-lora-").FullName;

    [Fact]
    public void Keys_are_those_of_diffusers()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("sd3");
        using var network = Sd3Tests.Load(golden);
        using var adapters = Fresh(network, new AdapterOptions { Rank = 2 });
        var path = Path.Combine(_folder, LoraFile.Name);
        LoraFile.Write(path, adapters, "transformer");
        using var file = SafetensorsFile.Open(path);
        // Eight layers per block, seven in the last, whose context ends; each with two factors.
        Assert.Equal(2 * (8 + 8 + 7), file.Names.Count());
        Assert.Equal([2, 32], file.ShapeOf("transformer.transformer_blocks.0.attn.to_q.lora_A.weight"));
        Assert.Equal([32, 2], file.ShapeOf("transformer.transformer_blocks.0.attn.to_q.lora_B.weight"));
        foreach (var layer in new[] { "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out" })
            Assert.Contains($"transformer.transformer_blocks.1.attn.{layer}.lora_B.weight", file.Names);
    }

    [Theory]
    [InlineData(2.0)]
    [InlineData(5.0)]
    public void Written_adapters_are_read_back(double alpha)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("sd35");
        using var network = Sd3Tests.Load(golden);
        float[] expected;
        using (
            var adapters = Fresh(
                network,
                new AdapterOptions
                {
                    Rank = 2,
                    Alpha = alpha,
                    Targets = [AdapterOptions.All],
                }
            )
        )
        {
            expected = Run(network, golden);
            LoraFile.Write(Path.Combine(_folder, LoraFile.Name), adapters, "transformer");
        }

        golden.Check("out.sample", Forward(network, golden));
        using var read = LoraFile.Attach(_folder, network.Parameters, Device.Cpu);
        Near(expected, Run(network, golden), alpha == 2 ? 0 : 1e-5);
        using (read.Off())
            golden.Check("out.sample", Forward(network, golden));
        read.Merge();
        Near(expected, Run(network, golden), 2e-4);
        Assert.True(expected.Zip(golden.Read("out.sample").ToArray<float>()).Max(static p => Math.Abs(p.First - p.Second)) > 0.05);
    }

    [Theory]
    [InlineData("unet.{0}.lora.down.weight", "unet.{0}.lora.up.weight", "unet.{0}.alpha", false)]
    [InlineData("lora_unet_{0}.lora_down.weight", "lora_unet_{0}.lora_up.weight", "lora_unet_{0}.alpha", true)]
    public void Other_layouts_are_read_with_their_alpha(string down, string up, string alpha, bool underscores)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("sd3");
        using var network = Sd3Tests.Load(golden);
        float[] expected;
        var tensors = new List<KeyValuePair<string, Tensor>>();
        using (var adapters = Fresh(network, new AdapterOptions { Rank = 2, Alpha = 1 }))
        {
            expected = Run(network, golden);
            foreach (var (path, _) in adapters.Layers)
            {
                var name = underscores ? path.Replace('.', '_') : path;
                var a = adapters.Parameters.Find($"{path}.lora_A.weight")!.Value.Clone();
                var b = adapters.Parameters.Find($"{path}.lora_B.weight")!.Value.Clone();
                // One as 1×1 convolutions, as in some files.
                tensors.Add(new(string.Format(null, down, name), underscores ? a.Unsqueeze(2).Unsqueeze(3) : a));
                tensors.Add(new(string.Format(null, up, name), underscores ? b.Unsqueeze(2).Unsqueeze(3) : b));
                tensors.Add(new(string.Format(null, alpha, name), Ops.ScalarTensor(1.0, dtype: DType.Float32)));
            }
        }

        var file = Path.Combine(_folder, "other.safetensors");
        SafetensorsWriter.Write(file, tensors);
        using var read = LoraFile.Attach(file, network.Parameters, Device.Cpu);
        Assert.All(read.Layers, static l => Assert.Equal(0.5, l.Scale));
        Assert.Equal(expected, Run(network, golden));
    }

    [Fact]
    public void Mismatches_are_reported()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("sd3");
        using var network = Sd3Tests.Load(golden);
        var (a, b) = (Ops.Zeros([2, 32]), Ops.Zeros([32, 2]));
        const string Q = "transformer.transformer_blocks.0.attn.to_q";
        Refused("text_encoder.a.lora_A.weight", (Q + ".lora_A.weight", a), (Q + ".lora_B.weight", b), ("text_encoder.a.lora_A.weight", a));
        Refused("incomplete: transformer_blocks.0.attn.to_q", (Q + ".lora_A.weight", a));
        Refused("unknown layout", (Q + ".dora_scale", a));
        Refused("duplicate in different layouts", (Q + ".lora_A.weight", a), (Q + ".lora_B.weight", b), (Q[12..] + ".lora.up.weight", b));
        Refused("wrong shape", (Q + ".lora_A.weight", a), (Q + ".lora_B.weight", Ops.Zeros([31, 2])));
        Refused("no adapters");
        // A rejected file has no effect.
        golden.Check("out.sample", Forward(network, golden));
        using var still = LowRankAdapters.Attach(network.Parameters, new AdapterOptions());

        void Refused(string words, params (string Key, Tensor Value)[] tensors)
        {
            var file = Path.Combine(_folder, "wrong.safetensors");
            SafetensorsWriter.Write(file, tensors.Select(static t => KeyValuePair.Create(t.Key, t.Value)));
            var error = Assert.Throws<InputException>(() => LoraFile.Attach(file, network.Parameters, Device.Cpu));
            Assert.Contains(words, error.Message, StringComparison.Ordinal);
            Assert.Contains("wrong.safetensors", error.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>With activation checkpointing, adapters get the same gradients, in every denoiser with blocks.</summary>
    [Theory]
    [Trait("speed", "slow")]
    [InlineData("dit")]
    [InlineData("pixart")]
    [InlineData("sd35")]
    [InlineData("unet_sd15")]
    public void Activation_checkpointing_preserves_adapter_gradients(string name)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        var runs = new[] { false, true }
            .Select(checkpoint =>
            {
                using var network = Load(golden);
                network.CheckpointActivations = checkpoint;
                using var adapters = Fresh(network, new AdapterOptions { Rank = 2, Targets = [AdapterOptions.All] });
                adapters.Parameters.RequireGrad(true);
                Autograd.Backward(Forward(network, golden), golden.Read("in.cotangent"));
                Assert.All(network.Parameters.All, static p => Assert.Null(p.Value.Grad));
                return adapters.Parameters.All.ToDictionary(static p => p.Name, static p => p.Value.Grad?.ToArray<float>() ?? []);
            })
            .ToList();
        Assert.True(runs[0].Values.Count(static g => Array.Exists(g, static v => v != 0)) > 20);
        DenoiserGolden.CheckSame(runs[0], runs[1]);
    }

    [Fact]
    public void A_merged_U_Net_equals_the_adapted_one()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("unet_sd15");
        using var network = UNetTests.Load(golden);
        using var adapters = Fresh(network, new AdapterOptions { Rank = 2, Targets = [AdapterOptions.All] });
        var on = Run(network, golden);
        float[] off;
        using (adapters.Off())
            off = Run(network, golden);
        adapters.Merge();
        Near(on, Run(network, golden), 1e-3);
        Assert.True(on.Zip(off).Max(static p => Math.Abs(p.First - p.Second)) > 0.1);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Adapters with non-zero B.</summary>
    private static LowRankAdapters Fresh(IDenoiser network, AdapterOptions options)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 9);
        var adapters = LowRankAdapters.Attach(network.Parameters, options);
        adapters.Parameters.Initialise(generator, Device.Cpu);
        foreach (var up in adapters.Parameters.All.Where(static p => p.Name.EndsWith("lora_B.weight", StringComparison.Ordinal)))
            up.Value.CopyInPlace(Ops.Randn(up.Shape, generator) * 0.2);
        return adapters;
    }

    private static IDenoiser Load(GoldenCase golden) =>
        Path.GetFileName(golden.Folder) switch
        {
            "dit" => DiTTests.Load(golden),
            "pixart" => PixArtTests.Load(golden),
            "unet_sd15" => UNetTests.Load(golden),
            _ => Sd3Tests.Load(golden),
        };

    private static Tensor Forward(IDenoiser network, GoldenCase golden) =>
        network switch
        {
            Retouch.Denoisers.Dit.DiTTransformer2D dit => dit.Forward(
                golden.Read("in.sample"),
                golden.Read("in.timestep"),
                golden.Read("in.class_labels")
            ),
            Retouch.Denoisers.PixArt.PixArtTransformer2D pixart => pixart.Forward(
                golden.Read("in.sample"),
                golden.Read("in.timestep"),
                golden.Read("in.encoder_hidden_states")
            ),
            Retouch.Denoisers.Sd3.Sd3Transformer2D sd3 => sd3.Forward(
                golden.Read("in.sample"),
                golden.Read("in.timestep"),
                golden.Read("in.encoder_hidden_states"),
                golden.Read("in.pooled_projections")
            ),
            Retouch.Denoisers.UNet.UNet2DCondition unet => unet.Forward(
                golden.Read("in.sample"),
                golden.Read("in.timestep"),
                new Condition { Text = golden.Read("in.encoder_hidden_states") }
            ),
            _ => throw new ArgumentException("no golden", nameof(network)),
        };

    private static float[] Run(IDenoiser network, GoldenCase golden) => Forward(network, golden).ToArray<float>();

    private static void Near(float[] expected, float[] found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        for (var k = 0; k < expected.Length; k++)
            Assert.True(
                Math.Abs(expected[k] - found[k]) <= tolerance * (1 + Math.Abs(expected[k])),
                $"{k}: {expected[k]:R} and {found[k]:R}"
            );
    }
}
