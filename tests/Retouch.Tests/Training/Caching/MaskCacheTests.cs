using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Data;
using Retouch.Images;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Caching;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Caching;

/// <summary>Masks beside cached latents against masks read with their pictures.</summary>
public sealed class MaskCacheTests : IDisposable
{
    private static readonly Framing Framing = new() { Width = 16, Height = 16 };

    private readonly TemporaryFolder _folder = new();

    public MaskCacheTests()
    {
        // Six pictures of other shapes in two classes; the mask of the fifth is white, and the sixth has none.
        for (var k = 0; k < 6; k++)
        {
            var picture = Filled(16 + (4 * k), 24, k);
            Save($"data/{k % 2}/{k}.png", picture);
            if (k < 5)
                Save(
                    $"data/{k % 2}/{k}_mask.png",
                    k == 4 ? Picture.Filled(32, 24, Rgb.White) : Filled(picture.Width, picture.Height, 7 * k)
                );
        }
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Masks_of_batches_equal_those_of_the_pictures(bool onDisk, bool withPixels)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var autoencoder = (AutoencoderKl)TinyModel.Autoencoder();
        for (var round = 0; round < 2; round++)
        {
            var source = Open();
            using var cache = Encode(source, autoencoder, onDisk, withPixels);
            using var pictures = Pictures(source);
            // Batches with a mask, and without (the last two samples).
            var masked = 0;
            for (var k = 0; k < 6; k++)
            {
                var (cached, fresh) = (cache.Next(default), pictures.Next(default));
                Assert.Equal(fresh.Samples, cached.Samples);
                Assert.Equal(fresh.Masks?.ToArray<float>(), cached.Masks?.ToArray<float>());
                Assert.Equal(fresh.Masks?.Shape, cached.Masks?.Shape);
                Assert.InRange((autoencoder.EncodeMoments(fresh.Images!) - cached.Moments!).Abs().Max().Item(), 0, 1e-5);
                masked += cached.Masks is null ? 0 : 1;
            }

            Assert.InRange(masked, 1, 6);
        }
    }

    [Fact]
    public void A_changed_mask_is_read_again_without_encoding()
    {
        using var scope = TensorScope.Enter();
        using var autoencoder = (AutoencoderKl)TinyModel.Autoencoder();
        Encode(Open(), autoencoder, onDisk: true).Dispose();
        var (latents, masks) = (Rows("latents"), Rows("masks"));
        Assert.Equal((6, 5), (latents, masks));
        // Another time stamp and length.
        Save("data/1/1_mask.png", Picture.Filled(20, 24, new Rgb(51, 0, 0)));
        var source = Open();
        using (var cache = Encode(source, autoencoder, onDisk: true))
        using (var pictures = Pictures(source))
        {
            for (var k = 0; k < 3; k++)
                Assert.Equal(pictures.Next(default).Masks?.ToArray<float>(), cache.Next(default).Masks?.ToArray<float>());
        }

        Assert.Equal((latents, masks + 1), (Rows("latents"), Rows("masks")));
    }

    [Fact]
    public void A_picture_whose_mask_became_unusable_is_replaced()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var autoencoder = (AutoencoderKl)TinyModel.Autoencoder();
        Encode(Open(), autoencoder, onDisk: true).Dispose();
        // A mask of another shape.
        Save("data/0/2_mask.png", new Picture(48, 16));
        for (var round = 0; round < 2; round++)
        {
            var source = Open();
            using var cache = Encode(source, autoencoder, onDisk: true);
            using var pictures = Pictures(source);
            for (var k = 0; k < 3; k++)
            {
                var (cached, fresh) = (cache.Next(default), pictures.Next(default));
                Assert.DoesNotContain(cached.Samples, static s => s.Id == "0/2.png");
                Assert.Equal(fresh.Samples, cached.Samples);
                Assert.Equal(fresh.Masks?.ToArray<float>(), cached.Masks?.ToArray<float>());
                Assert.InRange((autoencoder.EncodeMoments(fresh.Images!) - cached.Moments!).Abs().Max().Item(), 0, 1e-5);
            }
        }
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_run_with_cached_latents_equals_one_without()
    {
        var fresh = Train("fresh");
        var inMemory = Train("memory", new() { ["data.cacheLatents"] = true });
        var cached = new JsonObject { ["data.cacheLatents"] = true, ["data.cache"] = _folder["cache"] };
        var (onDisk, again) = (Train("disk", cached), Train("again", cached));
        Assert.Equal(inMemory, onDisk);
        Assert.Equal(onDisk, again);
        // The encoder rounds differently for other batch sizes.
        Assert.InRange(Distance(fresh, inMemory), 0, 1e-4);
        Train("unmasked", new() { ["data.masks"] = null });
        var (plain, kept, unmasked) = (Losses("fresh"), Losses("memory"), Losses("unmasked"));
        Assert.Equal(6, plain.Length);
        Assert.All(plain.Zip(kept), static l => Assert.InRange(Math.Abs(l.First - l.Second) / l.First, 0, 1e-4));
        // The first step has the same weights and noise.
        Assert.True(Math.Abs(plain[0] - unmasked[0]) > 1e-3 * plain[0], $"{plain[0]} and {unmasked[0]}");
    }

    private float[] Train(string name, JsonObject? set = null)
    {
        var all = new JsonObject
        {
            ["data.folder"] = _folder["data"],
            ["data.sceneCount"] = null,
            ["data.flip"] = 0,
            ["data.masks"] = new JsonObject { ["outside"] = 0.1 },
            ["steps"] = 6,
        };
        foreach (var (path, value) in set ?? [])
            all[path] = value?.DeepClone();
        var options = TinyRun.Denoiser(set: all.ToJsonString());
        TinyRun.Train(options, _folder[name]);
        using var scope = TensorScope.Enter();
        using var file = SafetensorsFile.Open(_folder[$"{name}/model/transformer/diffusion_pytorch_model.safetensors"]);
        return [.. file.Names.Order(StringComparer.Ordinal).SelectMany(n => file.Read(n).ToArray<float>())];
    }

    private double[] Losses(string name) =>
        [
            .. MetricsReader
                .Read(_folder[$"{name}/metrics.jsonl"])
                .SelectMany(static r => r.Values.Where(static v => v.Key == "loss/latent/raw").Select(static v => v.Value)),
        ];

    private static double Distance(float[] a, float[] b) => a.Zip(b, static (x, y) => Math.Abs(x - (double)y)).Max();

    private int Rows(string store)
    {
        var key = store == "masks" ? MaskCache.Key(Framing) : LatentEncoding.Key("aa", Framing);
        using var rows = RowStore.Open(_folder[$"cache/{store}"], key);
        return rows.Count;
    }

    private LatentCache Encode(IPictureSource source, AutoencoderKl autoencoder, bool onDisk, bool withPixels = false)
    {
        var encoding = new LatentEncoding(Loader(source), autoencoder, Device.Cpu, 2)
        {
            WithPixels = withPixels,
            Store = onDisk ? RowStore.Open(_folder["cache/latents"], LatentEncoding.Key("aa", Framing)) : null,
            Masks = onDisk ? RowStore.Open(_folder["cache/masks"], MaskCache.Key(Framing)) : null,
        };
        return LatentCache.Encode(source, Plan(source), encoding, default, default);
    }

    private static PictureBatches Pictures(IPictureSource source) =>
        new(new Prefetcher(Plan(source), Loader(source), new PrefetchOptions { Workers = 1 }, TimeProvider.System), Device.Cpu);

    private static BatchPlan Plan(IPictureSource source) => new(source.Count, new BatchPlanOptions { BatchSize = 2, Seed = 4 });

    private static SampleLoader Loader(IPictureSource source) =>
        new(source, Plan(source), Framing, new Quarantine(source.Count, 0.5)) { ReadsMasks = true };

    private IPictureSource Open() => ImageFolder.OpenSplit(_folder["data"], null, readsMasks: true);

    private static Picture Filled(int width, int height, int seed)
    {
        var picture = new Picture(width, height);
        var random = new SplitMix64((ulong)seed);
        foreach (ref var value in picture.Pixels)
            value = (byte)random.NextInt(256);
        return picture;
    }

    private void Save(string name, Picture picture) => _folder.Add(name, PictureFile.Encode(picture, PictureFormat.Png));
}
