using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Denoisers;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.Sd3;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Autoencoders;
using Retouch.Tests.Denoisers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Pipelines;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training;

/// <summary>
/// Frozen networks keep their layer weights once, in the compute type, with the values of float32 weights under autocast.
/// </summary>
[Collection(LiveTensorCollection.Name)]
public sealed class FrozenPartsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("dit", false)]
    [InlineData("dit", true)]
    [InlineData("unet", false)]
    [InlineData("unet_sd15", true)]
    [InlineData("mmdit", false)]
    [InlineData("pixart", false)]
    [InlineData("sd3", false)]
    public void A_step_with_adapters_equals_that_of_float32_weights(string kind, bool checkpoint)
    {
        var (wide, narrow) = (Step(kind, checkpoint, null), Step(kind, checkpoint, FrozenParts.Layers(DType.BFloat16)));
        Assert.NotEqual(0, wide.Loss);
        Assert.Equal(wide.Loss, narrow.Loss);
        Assert.Equal(wide.Gradients, narrow.Gradients);
        Assert.Contains(wide.Gradients, static g => g != 0);
    }

    [Fact]
    public void A_step_needs_a_third_of_the_memory_of_the_weights()
    {
        const int Hidden = 512;
        var config = DiTTests.Small with { NumAttentionHeads = 8, AttentionHeadDim = Hidden / 8, NumLayers = 3 };
        long Peak(NarrowLayers? layers)
        {
            HostBlocks.Reuse(true);
            try
            {
                using var scope = TensorScope.Enter();
                var before = Ops.HostMemory(true).ToArray<long>()[0];
                using var network = new DiTTransformer2D(config);
                // Initialisation draws in float32.
                Step(network, false, layers, static () => Ops.HostMemory(true));
                return Ops.HostMemory(false).ToArray<long>()[1] - before;
            }
            finally
            {
                HostBlocks.Reuse(false);
            }
        }

        var (wide, narrow) = (Peak(null), Peak(FrozenParts.Layers(DType.BFloat16)));
        using var shapes = new DiTTransformer2D(config);
        // Tensors of less than 1 MiB are not counted: adapters, activations, and the smaller weights.
        var weights = shapes.Parameters.All.Where(static p => p.IsAdaptable && p.Count * sizeof(float) >= 2 << 20).Sum(static p => p.Count);
        Assert.True(narrow >= 2 * weights, $"{narrow} bytes with narrow weights, of {weights} elements");
        // Float32 weights, and the copies that autocast keeps for the backward pass.
        Assert.True(wide >= 5.9 * weights, $"{wide} bytes with float32 weights, of {weights} elements");
        Assert.True(wide >= 2.5 * narrow, $"{wide} bytes with float32 weights, {narrow} with narrow ones");
    }

    [Fact]
    public void A_decoder_equals_that_of_float32_weights_and_the_encoder_stays_exact()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var wide = AutoencoderKlTests.Load(golden, DType.Float32);
        using var narrow = AutoencoderKlTests.Load(golden, DType.Float32);
        FrozenParts.NarrowDecoder(narrow, DType.BFloat16);
        Assert.All(
            narrow.Parameters.All,
            static p => Assert.Equal(p.IsAdaptable && FrozenParts.IsOfDecoder(p.Name) ? DType.BFloat16 : DType.Float32, p.Value.DType)
        );
        var image = golden.Read("in.image");
        Assert.Equal(wide.EncodeMoments(image).ToArray<float>(), narrow.EncodeMoments(image).ToArray<float>());
        (float[] Rgb, float[] Gradient) Decode(AutoencoderKl network)
        {
            var latent = wide.Encode(image, null).Value.Detach();
            latent.RequiresGrad = true;
            using var cast = Autocast.Enter(Device.Cpu, DType.BFloat16);
            var rgb = network.Decode(new Latent(latent));
            return (rgb.ToArray<float>(), Autograd.Grad([rgb.Square().Mean()], [latent])[0]!.ToArray<float>());
        }

        var (expected, found) = (Decode(wide), Decode(narrow));
        Assert.Equal(expected.Rgb, found.Rgb);
        Assert.Equal(expected.Gradient, found.Gradient);

        // Outside autocast the weights are widened: only they are rounded, to eight bits.
        var latents = wide.Encode(image, null);
        var (exact, rounded) = (wide.Decode(latents), narrow.Decode(latents));
        Assert.Equal(DType.Float32, rounded.DType);
        var error = ((exact - rounded).Square().Mean().Item() / exact.Square().Mean().Item()).ToString("G3");
        Assert.True((exact - rounded).Square().Mean().Item() < 1e-3 * exact.Square().Mean().Item(), error);
    }

    [Fact]
    public void Only_frozen_parts_are_narrow_and_are_saved_as_they_were_loaded()
    {
        Train("""{ "steps": 1, "precision": "bfloat16", "averages": [] }""", "base");
        var model = _folder["base/model"];
        Assert.Equal(WeightsOf(TinyModel.AutoencoderFolder), WeightsOf(Path.Combine(model, "vae")));

        Dictionary<DType, int> Types(ParameterStore store) => store.All.CountBy(static p => p.Value.DType).ToDictionary();
        void Check(string set, bool narrowDenoiser, bool narrowDecoder)
        {
            var options = Adapters(model, set);
            using var pipeline = new TrainingNetworks(options, Device.Cpu).OpenPipeline([]);
            Assert.Equal(narrowDenoiser, Types(pipeline.Denoiser.Parameters).ContainsKey(DType.BFloat16));
            Assert.Equal(narrowDecoder, Types(pipeline.Autoencoder.Parameters).ContainsKey(DType.BFloat16));
            Assert.All(
                pipeline.Denoiser.Parameters.All,
                p => Assert.Equal(narrowDenoiser && p.IsAdaptable, p.Value.DType == DType.BFloat16)
            );
        }

        Check("""{ "precision": "bfloat16", "lora.rank": 2 }""", true, true);
        Check("""{ "precision": "bfloat16" }""", false, true);
        Check("""{ "precision": "float32", "lora.rank": 2 }""", false, false);

        // A second set of adapters: the first is merged in float32 before rounding.
        using (var run = TrainingRun.Start(Adapters(model, """{ "lora.rank": 2, "steps": 2 }"""), _folder["first"], TimeProvider.System))
            run.Train(new ProgressProbe(), CancellationToken.None);
        var stacked = Adapters(_folder["first/model"], """{ "precision": "bfloat16", "lora.rank": 2 }""");
        using var scope = TensorScope.Enter();
        using var second = new TrainingNetworks(stacked, Device.Cpu).OpenPipeline([]);
        using var exact = LatentDiffusionPipeline.Load(_folder["first/model"], Device.Cpu);
        foreach (var parameter in second.Denoiser.Parameters.All.Where(static p => p.IsAdaptable))
            Assert.Equal(
                exact.Denoiser.Parameters.Find(parameter.Name)!.Value.To(DType.BFloat16).To(DType.Float32).ToArray<float>(),
                parameter.Value.To(DType.Float32).ToArray<float>()
            );
    }

    [Fact]
    public void A_reference_model_is_a_narrow_copy()
    {
        using var scope = TensorScope.Enter();
        Train("""{ "steps": 1, "averages": [] }""", "base");
        using var pipeline = LatentDiffusionPipeline.Load(_folder["base/model"], Device.Cpu);
        using var copy = pipeline.CopyDenoiser(FrozenParts.Layers(DType.BFloat16));
        Assert.Contains(copy.Parameters.All, static p => p.Value.DType == DType.BFloat16);
        Assert.DoesNotContain(pipeline.Denoiser.Parameters.All, static p => p.Value.DType == DType.BFloat16);
        float[] Predict(IDenoiser network)
        {
            using var quiet = Autograd.NoGrad();
            using var cast = Autocast.Enter(Device.Cpu, DType.BFloat16);
            using var generator = Generator.Create(Device.Cpu, 4);
            var noisy = Ops.Randn([2L, 4, 4, 4], generator);
            return network.Predict(noisy, Tensor.From([10L, 700]), new Condition(Tensor.From([1L, 3]))).Value.ToArray<float>();
        }

        Assert.Equal(Predict(pipeline.Denoiser), Predict(copy));
    }

    [Fact]
    public void Text_encoders_keep_the_stored_type_and_compute_in_float32()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        TextPipelineFolder.Write(_folder["text"]);
        var encoder = Path.Combine(_folder["text"], "text_encoder");
        using (var component = ComponentFolder.Load(encoder, Device.Cpu))
            ComponentFolder.Save(encoder, component, DType.Float16);
        using var wide = PromptEncoders.Load(_folder["text"], TextPipelineFolder.Width, Device.Cpu);
        using var narrow = PromptEncoders.Load(_folder["text"], TextPipelineFolder.Width, Device.Cpu, layers: new NarrowLayers());
        using var kept = ComponentFolder.Load(encoder, Device.Cpu, layers: new NarrowLayers());
        var store = ComponentRegistry.Of(kept.Network).Parameters(kept.Network);
        Assert.All(store.All, static p => Assert.Equal(p.IsAdaptable ? DType.Float16 : DType.Float32, p.Value.DType));
        string[] prompts = ["a red kite", ""];
        var (expected, found) = (wide.Encoder.Encode(prompts).Condition.Text!, narrow.Encoder.Encode(prompts).Condition.Text!);
        Assert.Equal(DType.Float32, found.DType);
        Assert.Equal(expected.ToArray<float>(), found.ToArray<float>());
    }

    private static (double Loss, float[] Gradients) Step(string kind, bool checkpoint, NarrowLayers? layers)
    {
        using var network = DenoiserMemoryTests.Make(kind);
        return Step(network, checkpoint, layers);
    }

    private static (double Loss, float[] Gradients) Step(IDenoiser network, bool checkpoint, NarrowLayers? layers, Action? prepared = null)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 7);
        if (layers is not null)
            network.Parameters.Narrow(layers);
        network.Parameters.Initialise(generator, Device.Cpu);
        network.CheckpointActivations = checkpoint;
        using (Autograd.NoGrad())
        {
            // New transformers predict zero because of zero gates. Rounded, so that both types have the same weights.
            foreach (var parameter in network.Parameters.All.Where(static p => p.Count < 1 << 18))
                parameter.Value.CopyInPlace((Ops.Randn(parameter.Shape, generator) * 0.1).To(DType.BFloat16).To(DType.Float32));
        }

        using var adapters = LowRankAdapters.Attach(network.Parameters, new AdapterOptions { Rank = 2, Targets = [AdapterOptions.All] });
        adapters.Parameters.Initialise(generator, Device.Cpu);
        using (Autograd.NoGrad())
        {
            foreach (var parameter in adapters.Parameters.All)
                parameter.Value.AddInPlace(Ops.Randn(parameter.Shape, generator) * 0.1);
        }

        adapters.Parameters.RequireGrad(true);
        prepared?.Invoke();
        var noisy = Ops.Randn([2L, network.LatentChannels, 8, 8], generator);
        var condition = network.TextWidth is not { } width
            ? new Condition(Tensor.From([1L, 3]))
            : new Condition
            {
                Text = Ops.Randn([2L, 5, width], generator),
                Pooled = network is Sd3Transformer2D sd3 ? Ops.Randn([2L, sd3.Config.PooledProjectionDim], generator) : null,
            };
        Tensor loss;
        using (Autocast.Enter(Device.Cpu, DType.BFloat16))
            loss = network.Predict(noisy, Tensor.From([1L, 600]), condition).Value.To(DType.Float32).Square().Mean();
        Autograd.Backward(loss);
        return (
            loss.Item(),
            [.. adapters.Parameters.All.Where(static p => p.Value.Grad is not null).SelectMany(static p => p.Value.Grad!.ToArray<float>())]
        );
    }

    private static TrainingOptions Adapters(string model, string set) =>
        TinyRun.Denoiser(
            "{}",
            set: $$"""
            { "model.config": null, "model.scheduler": null, "model.autoencoder": null, "model.path": "{{model}}", "averages": [],
            {{set.TrimStart()[1..]}}
            """
        );

    private void Train(string set, string name)
    {
        using var run = TrainingRun.Start(TinyRun.Denoiser("{}", set: set), _folder[name], TimeProvider.System);
        run.Train(new ProgressProbe(), CancellationToken.None);
    }

    private static SortedDictionary<string, float[]> WeightsOf(string folder)
    {
        using var scope = TensorScope.Enter();
        using var file = SafetensorsFile.Open(Path.Combine(folder, "diffusion_pytorch_model.safetensors"));
        return new(file.Names.ToDictionary(static n => n, n => file.ReadOwned(n).ToArray<float>()), StringComparer.Ordinal);
    }
}
