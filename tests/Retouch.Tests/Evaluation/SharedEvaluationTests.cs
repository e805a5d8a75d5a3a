using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Perception;
using Retouch.Tests.Training.Distributed;
using Retouch.Torch;
using Retouch.Torch.Distributed;
using Retouch.Training.Distributed;

namespace Retouch.Tests.Evaluation;

/// <summary>Evaluations whose features several processes extract.</summary>
public sealed class SharedEvaluationTests
{
    private const int Pictures = 43;

    private static readonly EvaluationOptions OfFeatures = new()
    {
        Metrics = MetricCatalog.Of("fd", "kid", "prdc"),
        Bootstrap = new BootstrapOptions { Resamples = 100 },
        BatchSize = 8,
    };

    private static readonly EvaluationOptions All = OfFeatures with
    {
        Metrics = MetricCatalog.Of("fd", "kid", "prdc", "fwd", "spectrum", "psnr"),
    };

    private static Counted Network(Action<int>? extract = null)
    {
        var config = new FeatureNetworkConfig
        {
            Size = 16,
            Channels = 4,
            Classes = ["a", "b"],
        };
        var network = new RetouchFeatures(config);
        using var generator = Generator.Create(Device.Cpu, 2);
        network.Parameters.Initialise(generator, Device.Cpu);
        return new Counted(network, extract);
    }

    private static CountedSet Set(string name, ulong seed) => new(TestTensors.Set(name, TestTensors.Pictures(Pictures, 16, seed)));

    /// <summary>An evaluation in one process.</summary>
    private static EvaluationResult? Measure(
        EvaluationOptions options,
        IPeers? peers,
        ImageSet reference,
        ImageSet[] sets,
        IFeatureExtractor[] networks,
        Action<EvaluationProgress>? progress = null
    )
    {
        options = options with { Networks = networks, Peers = peers };
        if (peers is not { IsMain: false })
            return Evaluator.Evaluate(reference, sets, options, progress);
        Evaluator.Assist(reference, sets, options);
        return null;
    }

    private static void AssertEqual(EvaluationResult expected, EvaluationResult actual)
    {
        Assert.Equal(expected.Sets.Count, actual.Sets.Count);
        foreach (var (a, b) in expected.Sets.Zip(actual.Sets))
        {
            Assert.Equal(a.Figures, b.Figures);
            Assert.Equal(a.Replicates, b.Replicates);
            Assert.Equal(a.Profile, b.Profile);
        }

        Assert.Equal(expected.Differences, actual.Differences);
        Assert.Equal(expected.Warnings, actual.Warnings);
    }

    [Theory]
    [InlineData(1, 8)]
    [InlineData(2, 8)]
    [InlineData(3, 8)]
    // Two batches.
    [InlineData(3, 24)]
    public void The_figures_are_those_of_a_single_process(int processes, int batchSize)
    {
        using var scope = TensorScope.Enter();
        ImageSet[] Sets() => [Set("first", 2), Set("second", 3)];
        var options = All with { BatchSize = batchSize };
        using var network = Network();
        var expected = Measure(options, null, Set("real", 1), Sets(), [network])!;
        Assert.Equal(3 * Pictures, network.Pictures);
        var found = new EvaluationResult?[processes];
        List<EvaluationProgress> progress = [];
        var extracted = 0;
        Worlds.Run(
            processes,
            world =>
            {
                using var own = Network();
                found[world.Rank] = Measure(options, world, Set("real", 1), Sets(), [own], progress.Add);
                world.AwaitMain("the end");
                Interlocked.Add(ref extracted, own.Pictures);
            }
        );
        AssertEqual(expected, found[0]!);
        Assert.All(found[1..], static f => Assert.Null(f));
        // Each picture once, by one process.
        Assert.Equal(3 * Pictures, extracted);
        // The reference and two sets are read for the pictures, again for features by several processes, the sets again for fwd.
        var total = (processes == 1 ? 5 : 8) * Pictures;
        Assert.Equal(new EvaluationProgress(total, total), progress[^1]);
    }

    [Fact]
    public void Pictures_are_read_once_by_one_process_unless_a_metric_needs_them()
    {
        using var scope = TensorScope.Enter();
        // 43 pictures in batches of 8 are 24 for rank 0 and 19 for rank 1.
        foreach (var (options, again) in ((EvaluationOptions, int)[])[(OfFeatures, 0), (All, 2)])
        {
            var read = new int[2];
            Worlds.Run(
                2,
                world =>
                {
                    using var network = Network();
                    var set = Set("set", 2);
                    Measure(options, world, Set("real", 1), [set], [network]);
                    world.AwaitMain("the end");
                    read[world.Rank] = set.Pictures;
                }
            );
            Assert.Equal([24 + (again * Pictures), 19], read);
        }
    }

    [Fact]
    public void Without_networks_rank_0_measures_alone()
    {
        using var scope = TensorScope.Enter();
        var options = All with { Metrics = MetricCatalog.Of("fwd", "spectrum") };
        var expected = Measure(options, null, Set("real", 1), [Set("set", 2)], [])!;
        Worlds.Run(
            2,
            world =>
            {
                var set = Set("set", 2);
                var found = Measure(options, world, Set("real", 1), [set], []);
                world.AwaitMain("the end");
                Assert.Equal(world.IsMain ? 2 * Pictures : 0, set.Pictures);
                if (found is not null)
                    AssertEqual(expected, found);
            }
        );
    }

    [Fact]
    public void A_table_of_features_is_that_of_a_single_process()
    {
        using var scope = TensorScope.Enter();
        using var network = Network();
        using var expected = FeatureRows.Of(Set("set", 2), network, 8, Device.Cpu);
        Worlds.Run(
            2,
            world =>
            {
                using var own = Network();
                using var found = FeatureRows.Of(Set("set", 2), own, 8, Device.Cpu, peers: world);
                for (var k = 0; world.IsMain && k < Pictures; k++)
                    Assert.Equal(expected[k].ToArray(), found[k].ToArray());
            }
        );
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void The_error_of_one_process_ends_all_and_names_it(int broken)
    {
        using var scope = TensorScope.Enter();
        var failures = Worlds.Try(
            3,
            world =>
            {
                try
                {
                    using var network = Network(done =>
                    {
                        if (world.Rank == broken && done > 8)
                            throw new InputException("a planted error");
                    });
                    Measure(OfFeatures, world, Set("real", 1), [Set("set", 2)], [network]);
                }
                catch (Exception e)
                {
                    world.Fail(e);
                    throw;
                }
            }
        );
        for (var rank = 0; rank < 3; rank++)
        {
            if (rank == broken)
                Assert.Equal("a planted error", Assert.IsType<InputException>(failures[rank]).Message);
            else
                Assert.Contains($"rank {broken} has failed: a planted error", Assert.IsType<PeerException>(failures[rank]).Message);
        }
    }

    [Fact]
    public void Rank_0_evaluates_and_the_others_assist() =>
        Worlds.Run(
            2,
            world =>
            {
                using var network = Network();
                var set = Set("set", 2);
                var options = OfFeatures with { Networks = [network], Peers = world };
                if (world.IsMain)
                    Assert.Throws<ArgumentException>(() => Evaluator.Assist(set, [set], options));
                else
                    Assert.Throws<ArgumentException>(() => Evaluator.Evaluate(set, [set], options));
            }
        );

    /// <summary>Network that counts the pictures it has seen.</summary>
    private sealed class Counted(RetouchFeatures network, Action<int>? extract) : IFeatureExtractor
    {
        public int Pictures { get; private set; }

        public FeatureProtocol Protocol => network.Protocol;

        public Tensor Extract(Tensor images)
        {
            Pictures += (int)images.Shape[0];
            extract?.Invoke(Pictures);
            return network.Extract(images);
        }

        public void Dispose() => network.Dispose();
    }

    /// <summary>Set that counts the pictures read.</summary>
    private sealed class CountedSet(ImageSet set) : ImageSet
    {
        public int Pictures { get; private set; }

        public override string Name => set.Name;

        public override int Count => set.Count;

        public override int Width => set.Width;

        public override int Height => set.Height;

        public override string Preparation => set.Preparation;

        public override string Id(int index) => set.Id(index);

        public override Tensor Read(int start, int count)
        {
            Pictures += count;
            return set.Read(start, count);
        }
    }
}
