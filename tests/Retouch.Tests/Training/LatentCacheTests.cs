using Retouch.Autoencoders;
using Retouch.Data;
using Retouch.Tests.Data;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;

namespace Retouch.Tests.Training;

/// <summary>Latents kept in memory against pictures that are encoded as they come.</summary>
public sealed class LatentCacheTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Batches_are_those_of_the_pictures(bool withPixels)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var autoencoder = Load();
        var source = new FakeSource(7, broken: static k => k == 3, width: 16, height: 16);
        var plan = new BatchPlan(source.Count, new BatchPlanOptions { BatchSize = 2, Seed = 4 });
        SampleLoader Loader() => new(source, plan, new Framing { Width = 16, Height = 16 }, new Quarantine(source.Count, 0.5));
        using var cache = LatentCache.Encode(plan, Loader(), autoencoder, Device.Cpu, default, workers: 2, withPixels, default);
        using var pictures = new PictureBatches(new Prefetcher(plan, Loader(), new PrefetchOptions { Workers = 1 }, TimeProvider.System), Device.Cpu);
        // Two epochs but for their rests.
        for (var k = 0; k < 6; k++)
        {
            using var inner = TensorScope.Enter();
            var (cached, fresh) = (cache.Next(default), pictures.Next(default));
            Assert.Equal(fresh.Next, cached.Next);
            if (k < 3)
            {
                // A broken picture is replaced by one that depends on the epoch; the cache keeps that of the first.
                Assert.Equal(fresh.Samples, cached.Samples);
                Assert.Equal(fresh.Frames, cached.Frames);
                Same(autoencoder.EncodeMoments(fresh.Images!), cached.Moments!);
            }

            Assert.Equal(withPixels, cached.Images is not null);
            if (withPixels)
                Same(autoencoder.EncodeMoments(cached.Images!), cached.Moments!);
        }
    }

    // Convolutions of other batch sizes round differently.
    private static void Same(Tensor expected, Tensor actual) => Assert.InRange((expected - actual).Abs().Max().Item(), 0, 1e-5);

    private static AutoencoderKl Load()
    {
        using var golden = GoldenCase.Open("training_dit_lpl");
        var folder = golden.PathOf("autoencoder");
        var network = new AutoencoderKl(AutoencoderKlConfig.FromJson(golden.ReadObject(Path.Combine("autoencoder", "config.json")), "golden"));
        using var weights = SafetensorsFile.Open(Path.Combine(folder, "diffusion_pytorch_model.safetensors"));
        network.Load(weights, Device.Cpu, DType.Float32, "golden");
        return network;
    }
}
