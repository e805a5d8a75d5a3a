using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Training.Caching;
using Retouch.Training.Distributed;

namespace Retouch.Tests.Training.Distributed;

/// <summary>Latents that several processes encode together.</summary>
public sealed class SharedEncodingTests : IDisposable
{
    private const int Pictures = 11;
    private static readonly Framing Framing = new() { Width = 16, Height = 16 };

    private readonly TemporaryFolder _folder = new();

    public SharedEncodingTests()
    {
        // Pictures of other shapes, most with masks; the fifth is broken, and has to be replaced.
        for (var k = 0; k < Pictures; k++)
        {
            _folder.Add($"data/{k:D2}.png", k == 4 ? [1, 2, 3] : PictureFile.Encode(Filled(16 + (4 * k), 24, k), PictureFormat.Png));
            if (k % 3 != 0)
                _folder.Add($"data/{k:D2}_mask.png", PictureFile.Encode(Filled(16 + (4 * k), 24, 7 * k), PictureFormat.Png));
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A batch of the cache as values.</summary>
    private sealed record Batch(string Samples, string Frames, float[] Moments, float[]? Masks);

    private sealed class Counted(IPictureSource inner) : IPictureSource
    {
        private int _loads;

        public int Loads => _loads;
        public int Count => inner.Count;
        public IReadOnlyList<string> Classes => inner.Classes;
        public Sample this[int index] => inner[index];

        public string Stamp(int index) => inner.Stamp(index);

        public bool HasMask(int index) => inner.HasMask(index);

        public string MaskStamp(int index) => inner.MaskStamp(index);

        public Picture? LoadMask(int index) => inner.LoadMask(index);

        public SourcePicture Load(int index, int minSide = 0)
        {
            Interlocked.Increment(ref _loads);
            return inner.Load(index, minSide);
        }
    }

    private (Batch[] Batches, int Loads, string Unusable) Encode(
        string? cache,
        World? world,
        double maxShare = 0.5,
        CancellationToken cancellation = default
    )
    {
        using var scope = TensorScope.Enter();
        using var autoencoder = (AutoencoderKl)TinyModel.Autoencoder();
        var source = new Counted(ImageFolder.OpenSplit(_folder["data"], null, readsMasks: true));
        var plan = new BatchPlan(source.Count, new BatchPlanOptions { BatchSize = 2, Seed = 4 });
        var quarantine = new Quarantine(source.Count, maxShare);
        var encoding = new LatentEncoding(
            new SampleLoader(source, plan, Framing, quarantine) { ReadsMasks = true },
            autoencoder,
            Device.Cpu,
            2
        )
        {
            Store = cache is null ? null : RowStore.Open(_folder[$"{cache}/latents"], LatentEncoding.Key("aa", Framing)),
            Masks = cache is null ? null : RowStore.Open(_folder[$"{cache}/masks"], MaskCache.Key(Framing)),
            BatchSize = 2,
            World = world,
        };
        using var encoded = LatentCache.Encode(source, plan, encoding, default, cancellation);
        List<Batch> batches = [];
        for (var k = 0; k < Pictures / 2; k++)
        {
            var batch = encoded.Next(default);
            batches.Add(
                new(
                    string.Join(' ', batch.Samples.Select(static s => s.Id)),
                    string.Join(' ', batch.Frames),
                    batch.Moments!.ToArray<float>(),
                    batch.Masks?.ToArray<float>()
                )
            );
        }

        return ([.. batches], source.Loads, string.Join(' ', quarantine.Pictures.Select(static p => $"{p.File}: {p.Reason}")));
    }

    private static void Same(Batch[] expected, Batch[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
        {
            Assert.Equal((a.Samples, a.Frames), (b.Samples, b.Frames));
            Assert.Equal(a.Moments, b.Moments);
            Assert.Equal(a.Masks, b.Masks);
        }
    }

    [Theory]
    [InlineData(2, false)]
    [InlineData(4, false)]
    [InlineData(2, true)]
    [InlineData(8, true)] // more processes than batches to encode
    public void Latents_and_masks_are_those_of_one_process(int size, bool onDisk)
    {
        var alone = Encode(onDisk ? "alone" : null, null);
        Assert.Contains("04.png: ", alone.Unusable);
        Assert.DoesNotContain("04.png", alone.Batches.SelectMany(static b => b.Samples.Split(' ')));
        Assert.Contains(alone.Batches, static b => b.Masks is not null);
        var shared = new (Batch[] Batches, int Loads, string Unusable)[size];
        Worlds.Run(
            size,
            world =>
            {
                world.MainFirst("caches", () => RowStore.Open(_folder["shared/latents"], LatentEncoding.Key("aa", Framing)).Dispose());
                world.MainFirst("masks", () => RowStore.Open(_folder["shared/masks"], MaskCache.Key(Framing)).Dispose());
                shared[world.Rank] = Encode(onDisk ? "shared" : null, world);
            }
        );
        Assert.All(shared, s => Same(alone.Batches, s.Batches));
        Assert.All(shared, s => Assert.Equal(alone.Unusable, s.Unusable));
        // Every picture is read by one process, the replacement perhaps again.
        Assert.InRange(shared.Sum(static s => s.Loads), alone.Loads, alone.Loads + 1);
        Assert.All(shared, s => Assert.InRange(s.Loads, size == 8 ? 0 : 2, (alone.Loads + 3) / 2));
        if (!onDisk)
            return;
        foreach (var file in Directory.EnumerateFiles(_folder["alone"], "*.safetensors", SearchOption.AllDirectories))
            Assert.Equal(
                File.ReadAllBytes(file),
                File.ReadAllBytes(Path.Combine(_folder["shared"], Path.GetRelativePath(_folder["alone"], file)))
            );
        // What is cached is not encoded again, apart from the replaced picture, in a batch without others.
        var again = Encode("alone", null);
        Assert.InRange(again.Loads, 2, 4);
        Worlds.Run(size, world => Same(again.Batches, Encode("shared", world).Batches));
    }

    [Fact]
    public void Unusable_pictures_are_counted_over_all_processes()
    {
        _folder.Add("data/09.png", [1]);
        // Each process finds one of 11; two are too many.
        var failures = Worlds.Try(2, world => Encode(null, world, maxShare: 0.1));
        Assert.Contains(failures, static f => f is InputException);
        Assert.All(failures, static f => Assert.NotNull(f));
        Assert.Contains(failures, static f => f!.Message.Contains("2 of 11 pictures are unusable", StringComparison.Ordinal));
    }

    [Fact]
    public void Another_folder_on_every_machine_is_an_error()
    {
        var failures = Worlds.Try(2, world => Encode($"cache{world.Rank}", world));
        Assert.Null(failures[0]);
        Assert.Contains(
            "Rank 1 does not find the 10 cached pictures that rank 0 has written to ",
            Assert.IsType<InputException>(failures[1]).Message
        );
    }

    [Fact]
    public void An_interruption_of_one_process_stops_all()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var failures = Worlds.Try(2, world => Encode(null, world, cancellation: world.IsMain ? default : stop.Token));
        Assert.All(failures, static f => Assert.IsType<OperationCanceledException>(f));
    }

    private static Picture Filled(int width, int height, int seed)
    {
        var picture = new Picture(width, height);
        var random = new SplitMix64((ulong)seed);
        foreach (ref var value in picture.Pixels)
            value = (byte)random.NextInt(256);
        return picture;
    }
}
