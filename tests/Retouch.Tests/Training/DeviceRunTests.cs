using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Tests.Training;

/// <summary>Encoding, training with an interruption, and sampling, on the CPU and on a GPU.</summary>
public sealed class DeviceRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<bool> Caches => [false, true];

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Caches))]
    public void A_run_on_the_CPU_resumes(bool cacheLatents) => Resume(Device.Cpu, cacheLatents);

    [CudaTheory]
    [MemberData(nameof(Caches))]
    public void A_run_on_a_GPU_resumes(bool cacheLatents) => Resume(Device.Cuda(), cacheLatents);

    [Theory]
    [InlineData(DType.Float32)]
    public void Pictures_sampled_on_the_CPU_do_not_depend_on_their_batch(DType precision) => Sample(Device.Cpu, precision);

    [CudaTheory]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    public void Pictures_sampled_on_a_GPU_equal_those_of_the_CPU(DType precision) => Sample(Device.Cuda(), precision);

    [Fact]
    public void Uploads_to_the_CPU_are_complete() => Upload(Device.Cpu);

    [CudaTheory]
    [InlineData(0)]
    public void Uploads_to_a_GPU_are_complete(int index) => Upload(Device.Cuda(index));

    /// <summary>Uploads are asynchronous: the memory of a freed source must not be reused before its copy is done.</summary>
    private static void Upload(Device device)
    {
        const int Uploads = 32;
        using var scope = TensorScope.Enter();
        var there = new Tensor[Uploads];
        for (var k = 0; k < Uploads; k++)
        {
            using var inner = TensorScope.Enter();
            there[k] = inner.Keep((Ops.Ones([1L << 18], dtype: DType.Float32) * k).To(device));
        }

        for (var k = 0; k < Uploads; k++)
        {
            Assert.Equal(device, there[k].Device);
            Assert.Equal((double)k * (1 << 18), there[k].To(DType.Float64).Sum().Item());
        }
    }

    /// <summary>
    /// An interrupted run ends with the weights of an uninterrupted one: bit by bit on the CPU, where a GPU's sums have another order each
    /// time.
    /// </summary>
    private void Resume(Device device, bool cacheLatents)
    {
        var options = TinyRun.Denoiser(
            """{ "perceptual": {}, "decodeBatch": 2 }""",
            cacheLatents,
            $$"""{ "device": "{{device}}", "averages": [ { "decay": 0.9 } ] }"""
        );
        Train(options, "whole", null);
        Assert.Throws<OperationCanceledException>(() => Train(options, "parts", 5));
        using (var run = TrainingRun.Resume(_folder["parts"], null, TimeProvider.System))
        {
            var progress = new ProgressProbe();
            run.Train(progress, CancellationToken.None);
            Assert.Contains("Resuming after step 5.", progress.Notes);
        }

        foreach (var model in (string[])["model", "model-average-0.9"])
        {
            var (whole, parts) = (Weights("whole", model), Weights("parts", model));
            Assert.Equal(whole.Keys, parts.Keys);
            foreach (var (name, expected) in whole)
                AssertSame(expected, parts[name], device.Type == DeviceType.Cpu ? 0 : 2e-3, $"{model}/{name}");
        }
    }

    private static void Sample(Device device, DType precision)
    {
        using var scope = TensorScope.Enter();
        var scheduler = new System.Text.Json.Nodes.JsonObject { ["_class_name"] = "DDIMScheduler", ["prediction_type"] = "v_prediction" };
        byte[][] Pictures(Device at, DType type, int batch)
        {
            using var pipeline = TinyModel.Pipeline(scheduler.DeepClone().AsObject(), at);
            var request = pipeline.Request(PipelineSampling.SeedsFrom(3, 3), 64, 64) with
            {
                Steps = 4,
                BatchSize = batch,
                Precision = type,
            };
            return [.. PipelineSampler.Sample(pipeline, request, at).Select(static p => p.Pixels.ToArray())];
        }

        var expected = Pictures(Device.Cpu, DType.Float32, 3);
        Assert.Contains(expected[0], level => level != expected[0][0]);
        foreach (var batch in (int[])[3, 2])
        {
            var found = Pictures(device, precision, batch);
            for (var k = 0; k < expected.Length; k++)
            {
                var differences = expected[k].Zip(found[k], static (a, b) => (double)Math.Abs(a - b)).ToArray();
                // Rounding moves a level by one; bfloat16 has eight bits in each of four steps and of the decoder's layers.
                Assert.True(precision == DType.Float32 ? differences.Max() <= 1 : differences.Average() < 4, $"{differences.Max()}");
            }
        }
    }

    private static void AssertSame(float[] expected, float[] found, double tolerance, string name)
    {
        var scale = expected.Max(Math.Abs);
        for (var k = 0; k < expected.Length; k++)
            Assert.True(Math.Abs(expected[k] - found[k]) <= tolerance * scale, $"{name}[{k}]: {expected[k]:R} and {found[k]:R}");
    }

    private void Train(TrainingOptions options, string name, int? stopAfter)
    {
        using var stop = new CancellationTokenSource();
        using var run = TrainingRun.Start(options, _folder[name], TimeProvider.System);
        run.Train(
            new ProgressProbe(p =>
            {
                if (p.Step == stopAfter)
                    stop.Cancel();
            }),
            stop.Token
        );
    }

    private SortedDictionary<string, float[]> Weights(string run, string model)
    {
        using var scope = TensorScope.Enter();
        var folder = Path.Combine(_folder[run], model, "transformer");
        using var file = SafetensorsFile.Open(Path.Combine(folder, "diffusion_pytorch_model.safetensors"));
        return new(file.Names.ToDictionary(static n => n, n => file.ReadOwned(n).ToArray<float>()), StringComparer.Ordinal);
    }
}
