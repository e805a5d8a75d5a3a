using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Denoisers;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Distributed;

namespace Retouch.Tests.Training.Distributed;

/// <summary>Pictures that several processes sample.</summary>
public sealed class SharedSamplingTests : IDisposable
{
    private const int Pictures = 11;

    private readonly GoldenCase _autoencoder = GoldenCase.Open("autoencoder_kl_2level");
    private readonly GoldenCase _denoiser = GoldenCase.Open("dit");
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _autoencoder.Dispose();
        _denoiser.Dispose();
        _folder.Dispose();
    }

    private LatentDiffusionPipeline Pipeline() =>
        LatentDiffusionPipeline.Create(
            (IAutoencoder)ComponentFolder.Load(_autoencoder.Folder, Device.Cpu).Network,
            (IDenoiser)ComponentFolder.Load(_denoiser.Folder, Device.Cpu).Network,
            new JsonObject { ["_class_name"] = "DDIMScheduler", ["prediction_type"] = "v_prediction" }
        );

    private static PipelineSampling Request(LatentDiffusionPipeline pipeline) =>
        new()
        {
            Seeds = PipelineSampling.SeedsFrom(7, Pictures),
            Width = 4 * pipeline.Autoencoder.Downsampling,
            Height = 4 * pipeline.Autoencoder.Downsampling,
            Steps = 2,
            BatchSize = 2,
        };

    private IReadOnlyList<Picture> Alone()
    {
        using var scope = TensorScope.Enter();
        using var pipeline = Pipeline();
        return PipelineSampler.Sample(pipeline, Request(pipeline), Device.Cpu);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    [InlineData(3, 4)]
    public void They_are_those_of_a_single_process(int processes, int first)
    {
        var expected = Alone();
        var found = new Picture?[Pictures];
        List<int>[] complete = [.. Enumerable.Range(0, processes).Select(static _ => new List<int>())];
        void Sample(World? world)
        {
            using var pipeline = Pipeline();
            SharedSampling.Run(
                pipeline,
                Request(pipeline),
                first,
                Device.Cpu,
                world,
                (index, pictures) =>
                {
                    foreach (var (k, picture) in pictures.Index())
                    {
                        // Each picture once, by one process.
                        Assert.Null(found[index + k]);
                        found[index + k] = picture;
                    }
                },
                count =>
                {
                    Assert.DoesNotContain(null, found[first..count]);
                    complete[world?.Rank ?? 0].Add(count);
                }
            );
        }

        if (processes == 1)
            Sample(null);
        else
            Worlds.Run(processes, Sample);
        for (var k = 0; k < Pictures; k++)
            Assert.True(k < first ? found[k] is null : expected[k].SameAs(found[k]!), $"{k}");
        var each = 2 * processes;
        int[] rounds = [.. Enumerable.Range(1, (Pictures - first + each - 1) / each).Select(r => Math.Min(first + (r * each), Pictures))];
        Assert.All(complete, c => Assert.Equal(rounds, c));
    }

    [Fact]
    public void The_grid_of_a_run_has_the_pictures_of_all()
    {
        var expected = Alone();
        Worlds.Run(
            4,
            world =>
            {
                using var pipeline = Pipeline();
                // In batches of 2, as for a single process: kernels depend on the batch size.
                var found = SharedSampling.Gather(pipeline, Request(pipeline), Device.Cpu, world);
                Assert.Equal(Pictures, found.Length);
                for (var k = 0; k < Pictures; k++)
                    Assert.True(expected[k].SameAs(found[k]), $"{k}");
            }
        );
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_shared_run_draws_the_sample_grids_of_one_process()
    {
        // Pictures of untrained weights: later ones differ by the rounding of the gradients' sums.
        var options = TinyRun.Denoiser(
            set: """{ "steps": 2, "samples.every": 2, "samples.count": 4, "samples.steps": 2, "checkpoints.every": 0 }"""
        );
        TinyRun.Train(options, _folder["alone"]);
        Worlds.Run(
            2,
            world =>
            {
                using var run = TrainingRun.Start(options, _folder["shared"], TimeProvider.System, world);
                run.Train();
            }
        );
        var files = Directory.GetFiles(_folder["alone/samples"]).Select(Path.GetFileName).Order().ToArray();
        Assert.Equal(2, files.Length);
        Assert.Equal(files, Directory.GetFiles(_folder["shared/samples"]).Select(Path.GetFileName).Order());
        var (alone, shared) = (Load($"alone/samples/{files[0]}"), Load($"shared/samples/{files[0]}"));
        Assert.Equal(alone.Length, shared.Length);
        Assert.InRange(alone.Zip(shared, static (a, b) => Math.Abs(a - b)).Max(), 0, 1);
        // Another order of the pictures would be far off.
        Assert.True(alone.Distinct().Count() > 50);

        byte[] Load(string path) => PictureFile.Load(_folder[path]).Pixels.ToArray();
    }

    [Fact]
    public void An_interrupted_process_ends_all_as_interrupted()
    {
        using var stop = new CancellationTokenSource();
        var failures = Worlds.Try(
            2,
            world =>
            {
                using var pipeline = Pipeline();
                try
                {
                    SharedSampling.Run(
                        pipeline,
                        Request(pipeline),
                        0,
                        Device.Cpu,
                        world,
                        static (_, _) => { },
                        _ => stop.Cancel(),
                        null,
                        stop.Token
                    );
                }
                catch (Exception e)
                {
                    world.Fail(e);
                    throw;
                }
            }
        );
        Assert.All(failures, static f => Assert.IsType<OperationCanceledException>(f));
    }
}
