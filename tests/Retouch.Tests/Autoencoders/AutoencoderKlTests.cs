using Retouch.Autoencoders;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Devices;

namespace Retouch.Tests.Autoencoders;

/// <summary>The KL autoencoder against diffusers, and its decoder's depth, memory and recomputation.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class AutoencoderKlTests
{
    private const string Large = "autoencoder_kl_4level";

    [SharedFact("golden/" + Large)]
    public void A_network_of_four_levels_equals_diffusers() => Outputs_intermediates_and_gradients_equal_diffusers(Large);

    [Theory]
    [InlineData("sd15_vae")]
    [InlineData("sdxl_vae")]
    [InlineData("sd3_vae")]
    public void The_full_size_network_has_the_published_keys(string name)
    {
        var manifest = Manifest.Open(name);
        using var network = new AutoencoderKl(AutoencoderKlConfig.FromJson(manifest.Config));
        manifest.Check(network.Parameters);
    }

    [Fact]
    public void Disabled_mid_attention_equals_attention_with_zero_output()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var with = Load(golden);
        using var without = new AutoencoderKl(with.Config with { MidBlockAddAttention = false });
        using var weights = Torch.Safetensors.SafetensorsFile.Open(golden.PathOf("diffusion_pytorch_model.safetensors"));
        Assert.DoesNotContain(without.Parameters.All, static p => p.Name.Contains("attentions", StringComparison.Ordinal));
        var error = Assert.Throws<Core.Errors.InputException>(() => without.Load(weights, Device.Cpu, null, "vae"));
        Assert.Contains("unexpected: decoder.mid_block.attentions.0.to_q.weight", error.Message, StringComparison.Ordinal);
        foreach (var parameter in with.Parameters.All.Where(static p => p.Name.Contains(".to_out.0.", StringComparison.Ordinal)))
            parameter.Value.ZeroInPlace();
        var kept = with.Parameters.Tensors().Where(static p => !p.Key.Contains("attentions", StringComparison.Ordinal)).ToDictionary();
        without.Load(new AutoencoderKlCheckpointTests.Source(kept), Device.Cpu, null, "vae");
        Assert.Equal(
            with.EncodeMoments(golden.Read("in.image")).ToArray<float>(),
            without.EncodeMoments(golden.Read("in.image")).ToArray<float>()
        );
        var latent = new Latent(golden.Read("in.latent"));
        Assert.Equal(with.Decode(latent).ToArray<float>(), without.Decode(latent).ToArray<float>());
    }

    [Theory]
    [InlineData("autoencoder_kl_2level")]
    [InlineData("autoencoder_kl_16ch_noquant")]
    public void Outputs_intermediates_and_gradients_equal_diffusers(string name)
    {
        var before = Tensor.LiveCount;
        using (TensorScope.Enter())
        {
            using var golden = name == Large ? GoldenCase.OpenFolder(SharedFactAttribute.PathOf("golden", name)) : GoldenCase.Open(name);
            using var network = Load(golden);
            network.Parameters.RequireGrad(true);
            var seen = AutoencoderGolden.Watch(golden, network);
            var image = golden.ReadLeaf("in.image");
            var posterior = network.EncodePosterior(image);
            AutoencoderGolden.CheckPosterior(golden, posterior, network.Scale);
            var moments = Ops.Cat([posterior.Mean, posterior.LogVariance], 1);
            golden.Check("out.moments", moments);
            AutoencoderGolden.CheckDecodingAndGradients(golden, network, network.Scale, seen, image, moments, "in.cot_moments");
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Recomputation_preserves_features_and_gradients_bitwise(bool frozen)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_16ch_noquant");
        using var network = Load(golden);
        network.Parameters.RequireGrad(!frozen);
        var (plain, plainGradients) = Run(checkpoint: false);
        var (again, againGradients) = Run(checkpoint: true);
        Assert.Equal(plain, again);
        Assert.Equal(plainGradients, againGradients);
        Assert.Equal(
            frozen ? 1 : 1 + network.Parameters.All.Count(static p => p.Name.StartsWith("decoder.", StringComparison.Ordinal)),
            plainGradients.Count
        );

        (List<float[]> Values, List<float[]> Gradients) Run(bool checkpoint)
        {
            var z = golden.ReadLeaf("in.latent");
            var decoded = network.DecodeWithTaps(new Latent(z), new TapRequest([0, 1, 2, 3, 4], Rgb: true, Checkpoint: checkpoint));
            var loss = decoded
                .Features.Select(static f => f.Square().Mean())
                .Aggregate(decoded.Rgb!.Square().Sum(), static (a, b) => a + b);
            Autograd.Backward(loss);
            var gradients = network
                .Parameters.All.Select(static p => p.Value.Grad)
                .Prepend(z.Grad)
                .OfType<Tensor>()
                .Select(static g => g.ToArray<float>())
                .ToList();
            foreach (var parameter in network.Parameters.All)
                parameter.Value.Grad = null;
            return ([.. decoded.Features.Append(decoded.Rgb!).Select(static f => f.ToArray<float>())], gradients);
        }
    }

    [Theory]
    [InlineData(new[] { 0 }, false, 0)]
    [InlineData(new[] { 0, 2 }, false, 2)]
    [InlineData(new[] { 4 }, false, 4)]
    [InlineData(new[] { 1 }, true, 4)]
    [InlineData(new int[0], true, 4)]
    public void Layers_beyond_the_requested_taps_are_not_computed(int[] taps, bool rgb, int deepest)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_16ch_noquant");
        using var network = Load(golden);
        var seen = new List<string>();
        network.Parameters.Observer = (path, _) => seen.Add(path);
        var decoded = network.DecodeWithTaps(new Latent(network.Scale(golden.Read("in.latent"))), new TapRequest(taps, rgb));
        Assert.Equal(["decoder.conv_in", .. network.Taps.Take(deepest + 1).Select(static t => t.Name)], seen);
        Assert.Equal(rgb, decoded.Rgb is not null);
        Assert.Equal(taps.Length, decoded.Features.Count);
        foreach (var (tap, feature) in taps.Zip(decoded.Features))
        {
            golden.Check($"mid.{network.Taps[tap].Name}", feature);
            Assert.Equal([1, network.Taps[tap].Channels, 4 * network.Taps[tap].Scale, 6 * network.Taps[tap].Scale], feature.Shape);
        }
    }

    [Fact]
    public void Taps_have_the_scales_of_the_paper()
    {
        using var network = new AutoencoderKl(new AutoencoderKlConfig { BlockOutChannels = [32, 64, 64, 96], LayersPerBlock = 2 });
        Assert.Equal([1, 2, 4, 8, 8], network.Taps.Select(static t => t.Scale));
        Assert.Equal([96, 96, 64, 64, 32], network.Taps.Select(static t => t.Channels));
        Assert.Equal("decoder.up_blocks.3", network.Taps[^1].Name);
        Assert.Equal(8, network.Downsampling);
    }

    [Fact]
    public void A_decode_keeps_only_the_requested_tensors()
    {
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var network = Load(golden);
        var before = Tensor.LiveCount;
        using (var scope = TensorScope.Enter())
        {
            var latent = new Latent(golden.ReadLeaf("in.latent"));
            network.DecodeWithTaps(latent, new TapRequest([0, 2], Rgb: true));
            Assert.Equal(4, scope.Count);
            network.EncodePosterior(golden.Read("in.image"));
            Assert.Equal(7, scope.Count);
            network.Encode(golden.Read("in.image"), null);
            Assert.Equal(9, scope.Count);
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Fact]
    public void A_frozen_decoder_saves_a_fraction_of_the_memory_of_a_trained_one()
    {
        using var generator = Generator.Create(Device.Cpu, 5);
        using var network = new AutoencoderKl(
            new AutoencoderKlConfig
            {
                BlockOutChannels = [8, 32, 128],
                LayersPerBlock = 2,
                NormNumGroups = 8,
            }
        );
        network.Parameters.Initialise(generator, Device.Cpu);
        long Peak(bool trained, bool checkpoint)
        {
            using var scope = TensorScope.Enter();
            network.Parameters.RequireGrad(trained);
            var z = Ops.Randn([2L, 4, 32, 32], generator);
            z.RequiresGrad = true;
            HostBlocks.Reuse(true);
            var before = Ops.HostMemory(true).ToArray<long>()[0];
            Autograd.Backward(network.DecodeWithTaps(new Latent(z), new TapRequest([], Rgb: true, checkpoint)).Rgb!.Mean());
            return Ops.HostMemory(true).ToArray<long>()[1] - before;
        }

        var trained = Peak(trained: true, checkpoint: false);
        var frozen = Peak(trained: false, checkpoint: false);
        var recomputed = Peak(trained: false, checkpoint: true);
        Assert.True(frozen < 0.7 * trained, $"frozen {frozen >> 20} MiB, trained {trained >> 20} MiB");
        Assert.True(recomputed < 0.95 * frozen, $"recomputed {recomputed >> 20} MiB, frozen {frozen >> 20} MiB");
    }

    [Fact]
    public void Encoding_samples_the_posterior_or_returns_its_mean()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_16ch_noquant");
        using var network = Load(golden);
        var image = golden.Read("in.image");
        using var generator = Generator.Create(Device.Cpu, 5);
        using var same = Generator.Create(Device.Cpu, 5);
        var posterior = network.EncodePosterior(image);
        var expected = network.Scale(posterior.Sample(Ops.Randn(posterior.Mean.Shape, same)));
        Assert.Equal(expected.ToArray<float>(), network.Encode(image, generator).Value.ToArray<float>());
        Assert.Equal(network.Scale(posterior.Mean).ToArray<float>(), network.Encode(image, null).Value.ToArray<float>());
    }

    [Fact]
    public void Latents_are_standardised_by_channel_if_configured()
    {
        using var scope = TensorScope.Enter();
        using var network = new AutoencoderKl(
            new AutoencoderKlConfig
            {
                BlockOutChannels = [32],
                LatentChannels = 2,
                ScalingFactor = 0.5,
                LatentsMean = [1, -2],
                LatentsStd = [2, 4],
            }
        );
        var raw = Tensor.From([3f, 5, 2, 6], 1, 2, 1, 2);
        var scaled = network.Scale(raw);
        Assert.Equal([0.5f, 1, 0.5f, 1], scaled.ToArray<float>());
        Assert.Equal(raw.ToArray<float>(), network.Unscale(scaled).ToArray<float>());
    }

    [Fact]
    public void In_bfloat16_the_image_is_close_and_float32()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var network = Load(golden, DType.BFloat16);
        var latent = new Latent(network.Scale(golden.Read("in.latent")));
        var decoded = network.DecodeWithTaps(latent, new TapRequest([0], Rgb: true));
        Assert.Equal(DType.Float32, decoded.Rgb!.DType);
        Assert.Equal(DType.BFloat16, decoded.Features[0].DType);
        var reference = golden.Read("out.decoded");
        var error = ((decoded.Rgb - reference).Square().Mean() / reference.Square().Mean()).Sqrt().Item();
        // On processors without bfloat16 (AVX-512), each product is added to a rounded sum with unit 2^-8: over K products of random sign,
        // K/2 errors of u/√3 add in quadrature, and so do the layers.
        var products = network
            .Parameters.All.Where(static p => p.Name.StartsWith("decoder.", StringComparison.Ordinal) && p.Value.Shape.Length > 1)
            .Sum(static p => (double)p.Count / p.Value.Shape[0]);
        Assert.InRange(error, 1e-4, Math.ScaleB(1, -8) * Math.Sqrt(products / 6));
    }

    internal static AutoencoderKl Load(GoldenCase golden, DType? dtype = null, Device? device = null)
    {
        var network = new AutoencoderKl(AutoencoderKlConfig.FromJson(golden.ReadObject("config.json")));
        using var weights = Torch.Safetensors.SafetensorsFile.Open(golden.PathOf("diffusion_pytorch_model.safetensors"));
        network.Load(weights, device ?? Device.Cpu, dtype, "golden");
        return network;
    }
}
