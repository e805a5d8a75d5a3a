using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Denoisers.Dit;
using Retouch.Experiments.Inspection;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Nn;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Cli.Tests;

/// <summary>Tests that measure the memory of all tensors of the process, without other tests in parallel.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class TensorMemoryCollection
{
    public const string Name = "tensor memory";
}

/// <summary>
/// Estimates of activations against the measured peak of forward and backward pass. Networks are wide enough for their maps to count
/// (from 1 MiB).
/// </summary>
[Collection(TensorMemoryCollection.Name)]
public sealed class ActivationEstimateTests
{
    private const double Factor = 1.5;

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("dit", 16, false)]
    [InlineData("dit", 16, true)]
    [InlineData("unet", 8, false)]
    [InlineData("unet", 8, true)]
    [InlineData("pixart", 16, false)]
    [InlineData("pixart", 16, true)]
    [InlineData("sd3", 16, false)]
    [InlineData("sd3", 16, true)]
    [InlineData("demo", 40, false)]
    [InlineData("demo", 40, true)]
    public void Denoiser_estimates_match_measurements(string name, int batch, bool checkpoint)
    {
        const int Words = 64;
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 1);
        var json = name == "demo" ? Demo("transformer") : Config(name);
        using var network = (IDenoiser)ComponentRegistry.Find(json, name).Create(json, name);
        network.Parameters.Initialise(generator, Device.Cpu);
        network.Parameters.RequireGrad(true);
        network.CheckpointActivations = checkpoint;
        var latents = Ops.Ones([batch, network.LatentChannels, network.SampleSize, network.SampleSize]);
        var condition = new Condition(network.ClassCount is null ? null : Ops.Zeros([batch], dtype: DType.Int64))
        {
            Text = network.TextWidth is { } width ? Ops.Ones([batch, Words, width]) : null,
            Pooled = name == "sd3" ? Ops.Ones([batch, 32L]) : null,
        };
        var measured = Held(
            network.Parameters,
            () => network.Predict(latents, Ops.Ones([(long)batch]) * 500, condition).Value.Square().Mean()
        );
        Check(ActivationEstimate.OfStep(network, null, batch, new StepShape(checkpoint, Words)), measured);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("kl", true, 16)]
    [InlineData("kl", false, 16)]
    [InlineData("tiny", true, 8)]
    public void Autoencoder_estimates_match_measurements(string name, bool frozen, int batch)
    {
        const int Side = 16;
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 1);
        using IAutoencoder network =
            name == "kl" ? new AutoencoderKl(AutoencoderKlConfig.FromJson(Demo("vae"))) : new AutoencoderTiny(new AutoencoderTinyConfig());
        network.Parameters.Initialise(generator, Device.Cpu);
        network.Parameters.RequireGrad(!frozen);
        var input = frozen
            ? Ops.Ones([batch, network.LatentChannels, Side, Side])
            : Ops.Ones([batch, 3L, Side * network.Downsampling, Side * network.Downsampling]);
        input.RequiresGrad = frozen;
        var measured = Held(
            network.Parameters,
            () => network.Decode(frozen ? new Latent(input) : network.Encode(input, null)).Square().Mean()
        );
        Check(ActivationEstimate.OfAutoencoder(network, Side, batch, frozen), measured);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("latent", 32)]
    [InlineData("lpl", 32)]
    [InlineData("pixel", 32)]
    public void Step_estimates_match_measurements(string objective, int batch)
    {
        // All samples are decoded. The weights of these networks, their gradients and moments are too small to count.
        var denoiser = DiTConfig.FromJson(Demo("transformer"));
        var autoencoder = AutoencoderKlConfig.FromJson(Demo("vae"));
        var options = new TrainingOptions
        {
            Steps = 2,
            Batch = new() { Size = batch },
            Model = new() { Path = "random" },
            Data = new() { Size = 64 },
            Objective = new ObjectiveOptions
            {
                Perceptual = objective == "lpl" ? new() { Gate = GateKind.None } : null,
                Pixel = objective == "pixel" ? new() : null,
            },
        };
        HostBlocks.Reuse(true);
        Ops.HostMemory(true);
        var before = Ops.HostMemory(false).ToArray<long>()[0];
        StepBenchmark.Run(objective, options, new StepNetworks(Demo("vae"), Demo("transformer")), warmUp: 0, TimeProvider.System, default);
        var measured = Ops.HostMemory(true).ToArray<long>()[1] - before;
        using var network = new DiTTransformer2D(denoiser);
        using var decoder = new AutoencoderKl(autoencoder);
        int[]? taps = objective == "lpl" ? [0, 1, 2] : null;
        Check(ActivationEstimate.OfStep(network, objective == "latent" ? null : decoder, batch, new StepShape(Taps: taps)), measured);
    }

    private static void Check(long estimate, long measured) =>
        Assert.True(
            estimate <= Factor * measured && measured <= Factor * estimate,
            $"estimated {estimate >> 20} MiB, measured {measured >> 20} MiB, {(double)estimate / measured:0.00} of it"
        );

    /// <summary>Peak of tensor bytes beyond those before, without the gradients of the weights.</summary>
    private static long Held(ParameterStore parameters, Func<Tensor> loss)
    {
        using var scope = TensorScope.Enter();
        HostBlocks.Reuse(true);
        Ops.HostMemory(true);
        var before = Ops.HostMemory(false).ToArray<long>()[0];
        Autograd.Backward(loss());
        var figures = Ops.HostMemory(true).ToArray<long>();
        var peak = figures[1] - before;
        foreach (var parameter in parameters.Trained)
            parameter.Value.Grad = null;
        return peak;
    }

    private static JsonObject Demo(string part)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "demo", "model", part, "config.json");
            if (File.Exists(candidate))
                return JsonNode.Parse(File.ReadAllText(candidate))!.AsObject();
        }

        throw new DirectoryNotFoundException("demo/model");
    }

    private static JsonObject Config(string name) =>
        JsonNode
            .Parse(
                name switch
                {
                    "dit" => """
                    { "_class_name": "DiTTransformer2DModel", "attention_head_dim": 32, "num_attention_heads": 4, "num_layers": 3,
                    "in_channels": 4, "out_channels": 4, "sample_size": 32,
                      "patch_size": 2, "num_embeds_ada_norm": 10, "norm_type": "ada_norm_zero", "norm_elementwise_affine": false,
                      "activation_fn": "gelu-approximate", "attention_bias": true }
                    """,
                    "unet" => """
                    { "_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": 4, "block_out_channels": [64, 128],
                    "cross_attention_dim": 32,
                      "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
                      "in_channels": 4, "out_channels": 4,
                      "layers_per_block": 1, "sample_size": 32, "norm_num_groups": 32 }
                    """,
                    "pixart" => """
                    { "_class_name": "PixArtTransformer2DModel", "activation_fn": "gelu-approximate", "attention_bias": true,
                    "attention_head_dim": 32, "num_attention_heads": 4,
                      "caption_channels": 32, "cross_attention_dim": 128, "in_channels": 4, "out_channels": 8, "num_layers": 3,
                      "patch_size": 2, "sample_size": 32,
                      "norm_elementwise_affine": false, "norm_eps": 1e-06, "norm_type": "ada_norm_single", "num_embeds_ada_norm": 1000,
                      "use_additional_conditions": false }
                    """,
                    _ => """
                    { "_class_name": "SD3Transformer2DModel", "attention_head_dim": 32, "num_attention_heads": 4,
                    "caption_projection_dim": 128, "in_channels": 4, "out_channels": 4,
                      "joint_attention_dim": 32, "num_layers": 3, "patch_size": 2, "pooled_projection_dim": 32, "pos_embed_max_size": 24,
                      "sample_size": 32 }
                    """,
                }
            )!
            .AsObject();
}
