using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Diffusion;
using Retouch.Objectives.Preference;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Tasks;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Lora;

/// <summary>Preferences with adapters: the reference is the network without them.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class LoraPreferenceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public LoraPreferenceTests()
    {
        DegradedPairs.Write(
            new ProceduralScenes(2, 16, 9),
            new() { Degradation = Degradation.Blur, Size = 16 },
            _folder["pairs"],
            CancellationToken.None
        );
        // A denoiser with open gates: with zero gates attention has no gradient.
        using var first = TrainingRun.Start(
            TinyRun.Denoiser("{}", set: """{ "steps": 12, "optimiser.learningRate": 0.02, "averages": [] }"""),
            _folder["first"],
            TimeProvider.System
        );
        first.Train(new ProgressProbe(), CancellationToken.None);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Dpo_starts_at_log_2_and_resumes_to_the_same_bytes()
    {
        var options = Options();
        Train(options, "whole", null);
        Assert.Throws<OperationCanceledException>(() => Train(options, "parts", 3));
        using (var run = TrainingRun.Resume(_folder["parts"], null, TimeProvider.System))
            run.Train(new ProgressProbe(), CancellationToken.None);
        Assert.Equal(TinyRun.Metrics(_folder["whole"]), TinyRun.Metrics(_folder["parts"]));
        var (a, b) = (TinyRun.WeightFiles(_folder["whole"]), TinyRun.WeightFiles(_folder["parts"]));
        Assert.All(a.Keys.Where(static k => k.StartsWith("model", StringComparison.Ordinal)), k => Assert.Equal(a[k], b[k]));
        var records = MetricsReader.Read(Path.Combine(_folder["whole"], "metrics.jsonl"));
        Assert.Equal(Math.Log(2), records[0].Find("loss/preference_latent/raw")!.Value, 1e-6);
        Assert.Equal(0, records[0].Find("preference/drift"));
        Assert.True(records[^1].Find("preference/drift") > 0);
    }

    [Fact]
    public void The_reference_equals_a_frozen_copy_without_tensors()
    {
        var none = Tensor.LiveCount;
        long off,
            frozen;
        KeyValuePair<string, double>[] expected,
            actual;
        using (var task = Task(frozen: false))
        {
            off = Tensor.LiveCount - none;
            actual = Figures(task);
        }

        using (var task = Task(frozen: true))
        {
            frozen = Tensor.LiveCount - none;
            expected = Figures(task);
        }

        Assert.Equal(expected, actual);
        Assert.Contains(expected, static v => v.Key == "preference/drift" && v.Value > 0);
        using var pipeline = LatentDiffusionPipeline.Load(_folder["first/model"], Device.Cpu);
        Assert.Equal(off + pipeline.Denoiser.Parameters.All.Count, frozen);
    }

    private static KeyValuePair<string, double>[] Figures(PreferenceTask task)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 8);
        foreach (var parameter in task.Network.Trained)
            parameter.Value.AddInPlace(Ops.Randn(parameter.Shape, generator) * 0.3);
        var formulation = FormulationFactory.FromSchedulerConfig(TinyRun.Denoiser("{}").Model.Scheduler!, "test");
        var level = formulation.LevelsAt([300, 700, 300, 700], Device.Cpu);
        var noisy = formulation.AddNoise(new Latent(Ops.Randn([4, 4, 4, 4], generator)), Ops.Randn([4, 4, 4, 4], generator), level);
        return
        [
            .. task.Evaluate(noisy, new Condition(Tensor.From([1L, 2, 1, 2])), null, pairs: 2)
                .Loss.Figures.Select(static h => KeyValuePair.Create(h.Key, h.Value.Value)),
        ];
    }

    private PreferenceTask Task(bool frozen)
    {
        var pipeline = LatentDiffusionPipeline.Load(_folder["first/model"], Device.Cpu);
        return new PreferenceTask(
            new DenoiserTask(pipeline, Options(), Device.Cpu, DType.Float32),
            Options(),
            frozen ? new FrozenReference(pipeline.CopyDenoiser(), pipeline.CreateFormulation()) : null
        );
    }

    private TrainingOptions Options() =>
        TinyRun.Denoiser(
            """{ "preference": { "beta": 500 } }""",
            set: $$"""
            {
              "data.sceneCount": null, "data.pairs": "{{_folder["pairs"]}}", "model": { "path": "{{_folder[
                "first/model"
            ]}}" }, "lora": { "rank": 2, "targets": ["all-linear"] },
              "steps": 6, "optimiser.learningRate": 0.01
            }
            """
        );

    private void Train(TrainingOptions options, string name, int? stopAfter)
    {
        using var source = new CancellationTokenSource();
        using var run = TrainingRun.Start(options, _folder[name], TimeProvider.System);
        run.Train(
            new ProgressProbe(p =>
            {
                if (p.Step == stopAfter)
                    source.Cancel();
            }),
            source.Token
        );
    }
}
