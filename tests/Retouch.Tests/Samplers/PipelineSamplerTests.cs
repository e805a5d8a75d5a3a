using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>Samples of whole pipelines.</summary>
public sealed class PipelineSamplerTests : IDisposable
{
    private readonly GoldenCase _autoencoder = GoldenCase.Open("autoencoder_kl_2level");
    private readonly GoldenCase _denoiser = GoldenCase.Open("dit");
    private readonly LatentDiffusionPipeline _pipeline;

    public PipelineSamplerTests()
    {
        var scheduler = JsonNode
            .Parse(
                """
                { "_class_name": "EulerAncestralDiscreteScheduler", "prediction_type": "v_prediction", "timestep_spacing": "trailing" }
                """
            )!
            .AsObject();
        _pipeline = LatentDiffusionPipeline.Create(
            (IAutoencoder)ComponentFolder.Load(_autoencoder.Folder, Device.Cpu).Network,
            (IDenoiser)ComponentFolder.Load(_denoiser.Folder, Device.Cpu).Network,
            scheduler
        );
    }

    private int Factor => _pipeline.Autoencoder.Downsampling;

    public void Dispose()
    {
        _pipeline.Dispose();
        _autoencoder.Dispose();
        _denoiser.Dispose();
    }

    [Fact]
    public void Explicit_conditions_equal_classes()
    {
        using var scope = TensorScope.Enter();
        var request = Request() with { Labels = [7, 7, 2], Guidance = new(3, 0.5) };
        var byLabel = Draw(request);
        Condition Class(long label) => new(Tensor.From([label]));
        var seven = Class(7);
        var told = request with { Labels = null, Conditions = [seven, seven, Class(2)] };
        Assert.Equal(byLabel, Draw(told with { Unconditional = Class(_pipeline.Denoiser.ClassCount!.Value) }));
        Assert.Equal(byLabel, Draw(told));
        // Another negative condition gives other pictures.
        Assert.NotEqual(byLabel, Draw(told with { Unconditional = Class(1) }));
        // Other batch sizes agree up to rounding, since kernels depend on the batch size. The error of float32, 2^-24, stays far below an
        // 8-bit level over these few steps, so that only values near the middle of two levels may be rounded differently.
        var together = Draw(told with { BatchSize = 3 });
        var steps = byLabel.SelectMany(static p => p).Zip(together.SelectMany(static p => p), static (a, b) => Math.Abs(a - b)).ToArray();
        Assert.InRange(steps.Max(), 0, 1);
        Assert.InRange(steps.Count(static d => d > 0), 0, steps.Length / 100);
    }

    [Fact]
    public void Pictures_are_handed_over_batch_by_batch()
    {
        List<(int Pictures, int Width, int Height)> seen = [];
        List<(int, int)> steps = [];
        PipelineSampler.SampleBatches(
            _pipeline,
            Request() with
            {
                Steps = 2,
            },
            Device.Cpu,
            p => seen.Add((p.Count, p[0].Width, p[0].Height)),
            (done, all) => steps.Add((done, all))
        );
        Assert.Equal([(2, 8 * Factor, 4 * Factor), (1, 8 * Factor, 4 * Factor)], seen);
        Assert.Equal([(1, 4), (2, 4), (3, 4), (4, 4)], steps);
    }

    [Fact]
    public void Invalid_requests_are_rejected()
    {
        using var scope = TensorScope.Enter();
        var one = new Condition(Tensor.From([1L]));
        foreach (
            var wrong in (PipelineSampling[])
                [
                    Request() with
                    {
                        Seeds = [],
                    },
                    Request() with
                    {
                        BatchSize = 0,
                    },
                    Request() with
                    {
                        Width = (8 * Factor) + 1,
                    },
                    Request() with
                    {
                        Height = 0,
                    },
                    Request() with
                    {
                        Labels = [1],
                    },
                    Request() with
                    {
                        Labels = [1, 2, 99],
                    },
                    Request() with
                    {
                        Conditions = [one],
                    },
                    Request() with
                    {
                        Conditions = [one, one, one],
                        Labels = [1, 1, 1],
                    },
                ]
        )
            Assert.Throws<UsageException>(() => PipelineSampler.Sample(_pipeline, wrong, Device.Cpu));
    }

    private byte[][] Draw(PipelineSampling request) =>
        [.. PipelineSampler.Sample(_pipeline, request, Device.Cpu).Select(static p => p.Pixels.ToArray())];

    private PipelineSampling Request() =>
        new()
        {
            Seeds = [5, 6, 7],
            Width = 8 * Factor,
            Height = 4 * Factor,
            Steps = 3,
            BatchSize = 2,
        };
}
