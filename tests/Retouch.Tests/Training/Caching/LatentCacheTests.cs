using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Tests.Data;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Caching;

namespace Retouch.Tests.Training.Caching;

/// <summary>Cached latents against pictures encoded on the fly.</summary>
public sealed class LatentCacheTests
{
    private static readonly Framing Framing = new() { Width = 16, Height = 16 };

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Batches_equal_those_of_the_pictures(bool withPixels, bool onDisk)
    {
        using var folder = new TemporaryFolder();
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var autoencoder = (AutoencoderKl)TinyModel.Autoencoder();
        var source = Pictures();
        var plan = Plan(source);
        using var cache = Encode(source, autoencoder, onDisk ? folder.Path : null, withPixels);
        using var pictures = new PictureBatches(
            new Prefetcher(plan, Loader(source), new PrefetchOptions { Workers = 1 }, TimeProvider.System),
            Device.Cpu
        );
        // Two epochs without their remainders.
        for (var k = 0; k < 6; k++)
        {
            using var inner = TensorScope.Enter();
            var (cached, fresh) = (cache.Next(default), pictures.Next(default));
            Assert.Equal(fresh.Next, cached.Next);
            if (k < 3)
            {
                // A broken picture is replaced by one that depends on the epoch; the cache keeps that of the first epoch.
                Assert.Equal(fresh.Samples, cached.Samples);
                Assert.Equal(fresh.Frames, cached.Frames);
                Same(autoencoder.EncodeMoments(fresh.Images!), cached.Moments!);
            }

            Assert.Equal(withPixels, cached.Images is not null);
            if (withPixels)
                Same(autoencoder.EncodeMoments(cached.Images!), cached.Moments!);
        }
    }

    [Fact]
    public void Cached_latents_are_reused_unless_the_picture_changed()
    {
        using var folder = new TemporaryFolder();
        using var scope = TensorScope.Enter();
        using var autoencoder = (AutoencoderKl)TinyModel.Autoencoder();
        var source = Pictures();
        Encode(source, autoencoder, folder.Path).Dispose();
        var first = source.Loads;
        Encode(source, autoencoder, folder.Path).Dispose();
        // The broken picture, and its replacement.
        Assert.InRange(source.Loads - first, 2, 4);
        var second = source.Loads;
        source.Version = "changed";
        Encode(source, autoencoder, folder.Path).Dispose();
        Assert.InRange(source.Loads - second, source.Count, source.Count + 3);
    }

    [Theory]
    [InlineData(16, 7)]
    [InlineData(3, 3, 6, 7)]
    public void Pictures_are_encoded_in_batches(int size, params int[] done)
    {
        using var scope = TensorScope.Enter();
        using var autoencoder = (AutoencoderKl)TinyModel.Autoencoder();
        var source = Pictures();
        List<int> seen = [];
        var encoding = new LatentEncoding(Loader(source), autoencoder, Device.Cpu, 2)
        {
            BatchSize = size,
            Progress = (k, _) => seen.Add(k),
        };
        LatentCache.Encode(source, Plan(source), encoding, default, default).Dispose();
        Assert.Equal(done, seen);
    }

    [Fact]
    public void Latents_of_an_older_encoding_are_stale()
    {
        using var folder = new TemporaryFolder();
        foreach (var key in (JsonObject[])[LatentEncoding.Key("aa", Framing), PromptTable.Key("SomePipeline", ["bb"])])
        {
            var place = folder[key["kind"]!.ToString()];
            RowStore.Open(place, key).Dispose();
            var stored = Path.Combine(place, "key.json");
            var json = JsonNode.Parse(File.ReadAllText(stored))!.AsObject();
            var revision = json["revision"]!.GetValue<int>();
            json["revision"] = revision - 1;
            File.WriteAllText(stored, json.ToJsonString());
            Assert.Contains(
                $"revision was {revision - 1} and is {revision}",
                Assert
                    .Throws<InputException>(() =>
                    {
                        RowStore.Open(place, key).Dispose();
                    })
                    .Message,
                StringComparison.Ordinal
            );
            // The uncounted ones belong to the first.
            json.Remove("revision");
            File.WriteAllText(stored, json.ToJsonString());
            if (revision == 1)
                RowStore.Open(place, key).Dispose();
            else
                Assert.Throws<InputException>(() =>
                {
                    RowStore.Open(place, key).Dispose();
                });
        }
    }

    [Fact]
    public void A_cache_of_another_encoder_or_crop_is_stale()
    {
        using var folder = new TemporaryFolder();
        RowStore.Open(folder.Path, LatentEncoding.Key("aa", Framing)).Dispose();
        RowStore.Open(folder.Path, LatentEncoding.Key("aa", Framing)).Dispose();
        var error = Assert.Throws<InputException>(() => RowStore.Open(folder.Path, LatentEncoding.Key("bb", Framing with { Width = 24 })));
        Assert.Contains("stale", error.Message, StringComparison.Ordinal);
        Assert.Contains("autoencoder was \"aa\" and is \"bb\"", error.Message, StringComparison.Ordinal);
        Assert.Contains("width was 16 and is 24", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_with_other_files_is_rejected()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(Path.Combine(folder.Path, "mine.txt"), "mine");
        Assert.Throws<InputException>(() => RowStore.Open(folder.Path, LatentEncoding.Key("aa", Framing)));
        Assert.Equal(["mine.txt"], Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName));
    }

    private static FakeSource Pictures() => new(7, broken: static k => k == 3, width: 16, height: 16);

    private static BatchPlan Plan(FakeSource source) => new(source.Count, new BatchPlanOptions { BatchSize = 2, Seed = 4 });

    private static SampleLoader Loader(FakeSource source) => new(source, Plan(source), Framing, new Quarantine(source.Count, 0.5));

    private static LatentCache Encode(FakeSource source, AutoencoderKl autoencoder, string? folder, bool withPixels = false)
    {
        var store = folder is null ? null : RowStore.Open(folder, LatentEncoding.Key("aa", Framing));
        var encoding = new LatentEncoding(Loader(source), autoencoder, Device.Cpu, 2) { WithPixels = withPixels, Store = store };
        return LatentCache.Encode(source, Plan(source), encoding, default, default);
    }

    // Convolutions round differently for other batch sizes.
    private static void Same(Tensor expected, Tensor actual) => Assert.InRange((expected - actual).Abs().Max().Item(), 0, 1e-5);
}
