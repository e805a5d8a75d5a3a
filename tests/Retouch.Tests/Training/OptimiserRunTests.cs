using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training;

/// <summary>Runs with each optimiser: resume, memory, and the weights that they save.</summary>
public sealed class OptimiserRunTests : IDisposable
{
    private const string Narrow = """ "optimiser.weights": "bfloat16", "precision": "bfloat16", """;
    private const string EightBit = """ "optimiser.kind": "adamw8bit", "optimiser.eightBit": { "block": 32, "smallest": 100 }, """;
    private const string Average = """ "averages": [ { "decay": 0.9 } ], """;
    private const string Weights = "transformer/diffusion_pytorch_model.safetensors";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Kinds =>
        [
            EightBit,
            """ "optimiser.kind": "adafactor", """,
            """ "optimiser.kind": "prodigy", "optimiser.prodigy": { "start": 1e-3 }, """,
            """ "optimiser.kind": "schedule-free", """,
            """ "optimiser.kind": "muon", """,
            Narrow,
            Narrow + EightBit,
            Narrow + """ "optimiser.kind": "adafactor", "optimiser.adafactor": { "relativeStep": true }, """,
        ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_resumed_run_ends_with_the_same_bytes_and_has_the_planned_size(string set)
    {
        var options = Options(set);
        TinyRun.Train(options, _folder["whole"]);
        TinyRun.TrainUntil(options, _folder["parts"], static p => p.Step == 5);
        Assert.Equal(5, new CheckpointStore(_folder["parts"]).Steps[^1]);
        TinyRun.Resume(_folder["parts"]);
        var (whole, parts) = (TinyRun.WeightFiles(_folder["whole"]), TinyRun.WeightFiles(_folder["parts"]));
        foreach (
            var file in Directory.EnumerateFiles(Last("whole"), "*.safetensors").Select(f => Path.GetRelativePath(_folder["whole"], f))
        )
            Assert.True(whole[file].AsSpan().SequenceEqual(parts[file]), file);
        Assert.True(whole[$"model/{Weights}"].AsSpan().SequenceEqual(parts[$"model/{Weights}"]));
        Assert.True(whole[$"model-average-0.9/{Weights}"].AsSpan().SequenceEqual(parts[$"model-average-0.9/{Weights}"]));
        Assert.Equal(TinyRun.Metrics(_folder["whole"]), TinyRun.Metrics(_folder["parts"]));
        var losses = MetricsReader.Read(Path.Combine(_folder["whole"], "metrics.jsonl")).Select(static r => r.Find("loss/total")!.Value);
        Assert.Equal(9, losses.Distinct().Count());

        // The plan's sizes are those of the files: weights, state of the optimiser and one average.
        using var planned = TrainingRun.Start(options, null, TimeProvider.System);
        var plan = planned.Plan(default);
        var (weights, state, average) = (Bytes("weights"), Bytes("optimiser"), Bytes("average-0.9"));
        Assert.Equal(weights + state + average, plan.CheckpointBytes);
        Assert.Equal((2 * weights) + state + average, plan.StateBytes);
        Assert.Equal(4 * plan.TrainedParameters, average);
    }

    [Fact]
    public void A_schedule_free_run_saves_validates_and_draws_the_average()
    {
        const string Set = """
             "optimiser.kind": "schedule-free", "optimiser.learningRate": 0.01, "averages": [], "validation": { "count": 2, "every": 3 },
            """;
        TinyRun.Train(Options(Set), _folder["plain"]);
        TinyRun.Train(Options(Set + """ "samples.every": 3, "samples.count": 1, "samples.steps": 2, """), _folder["drawn"]);
        // Drawing and validating leave the sequence as it is.
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(Last("plain"), "weights.safetensors")),
            File.ReadAllBytes(Path.Combine(Last("drawn"), "weights.safetensors"))
        );

        using var scope = TensorScope.Enter();
        using var trained = SafetensorsFile.Open(Path.Combine(Last("plain"), "weights.safetensors"));
        using var states = SafetensorsFile.Open(Path.Combine(Last("plain"), "optimiser.safetensors"));
        using var saved = SafetensorsFile.Open(Path.Combine(_folder["plain"], "model", Weights));
        var moved = 0.0;
        foreach (var name in saved.Names)
        {
            // y = 0.1·z + 0.9·x
            var (y, z, x) = (trained.Read(name), states.Read($"z.{name}"), saved.Read(name));
            var difference = ((0.1 * z) + (0.9 * x) - y).Abs().Max().Item();
            Assert.True(difference < 1e-6, $"{name}: {difference}");
            moved = Math.Max(moved, (x - y).Abs().Max().Item());
        }

        Assert.True(moved > 1e-4, $"{moved}");

        // The saved model has the loss of the last validation.
        var records = MetricsReader.Read(Path.Combine(_folder["plain"], "metrics.jsonl"));
        var last = records.Last(static r => r.Find("validation/weights/latent") is not null).Find("validation/weights/latent")!.Value;
        var again = Options(
            $$"""
             "optimiser.learningRate": 0.01, "averages": [], "validation": { "count": 2, "every": 3 }, "steps": 1,
             "model.config": null, "model.scheduler": null, "model.autoencoder": null, "model.path": "{{_folder["plain/model"]}}",
            """
        );
        TinyRun.Train(again, _folder["again"]);
        var first = MetricsReader
            .Read(Path.Combine(_folder["again"], "metrics.jsonl"))
            .First(static r => r.Find("validation/weights/latent") is not null);
        Assert.Equal(0, first.Step);
        Assert.Equal(last, first.Find("validation/weights/latent")!.Value, 1e-6 * last);
    }

    [Fact]
    public void Weights_in_bfloat16_are_saved_as_trained()
    {
        TinyRun.Train(Options(Narrow), _folder["run"]);
        using var scope = TensorScope.Enter();
        using var saved = SafetensorsFile.Open(Path.Combine(_folder["run"], "model", Weights));
        using var kept = SafetensorsFile.Open(Path.Combine(Last("run"), "weights.safetensors"));
        using var pipeline = LatentDiffusionPipeline.Load(_folder["run/model"], Device.Cpu);
        var changed = 0;
        foreach (var parameter in pipeline.Denoiser.Parameters.All)
        {
            Assert.Equal(parameter.IsAdaptable ? DType.BFloat16 : DType.Float32, saved.DTypeOf(parameter.Name));
            Assert.Equal(kept.Read(parameter.Name).To(DType.Float32).ToArray<float>(), parameter.Value.To(DType.Float32).ToArray<float>());
            changed += parameter.IsAdaptable ? 1 : 0;
        }

        Assert.True(changed > 5);

        // Training an existing model saves the trained weights, not those of its files.
        const string From = """ "model.config": null, "model.scheduler": null, "model.autoencoder": null, "averages": [], """;
        TinyRun.Train(
            Options($$""" {{Narrow}} {{From}} "model.path": "{{_folder["run/model"]}}", "optimiser.learningRate": 0.01, """),
            _folder["next"]
        );
        using var next = SafetensorsFile.Open(Path.Combine(_folder["next"], "model", Weights));
        Assert.NotEqual(
            saved.Read("proj_out_2.weight").To(DType.Float32).ToArray<float>(),
            next.Read("proj_out_2.weight").To(DType.Float32).ToArray<float>()
        );
    }

    [Theory]
    [InlineData("kind", "muon", "not that of Muon and AdamW with these settings")]
    [InlineData("eightBit.block", 64, "not that of AdamW with 8-bit states with these settings")]
    public void Another_optimiser_cannot_continue_a_run(string member, object value, string message)
    {
        TinyRun.TrainUntil(Options(EightBit), _folder["run"], static p => p.Step == 3);
        using var run = Resume(member, value);
        if (member == "kind")
        {
            // Its settings would have no effect.
            Assert.Contains(
                "optimiser.eightBit has no effect",
                Assert.Throws<UsageException>(() => Resume(member, value, keep: true)).Message,
                StringComparison.Ordinal
            );
        }

        var found = Assert.Throws<InputException>(() => run.Train(new ProgressProbe(), CancellationToken.None)).Message;
        Assert.Contains(message, found, StringComparison.Ordinal);
        Assert.Contains($"--model {_folder["run"]}", found, StringComparison.Ordinal);

        TrainingRun Resume(string path, object to, bool keep = false) =>
            TrainingRun.Resume(
                _folder["run"],
                null,
                TimeProvider.System,
                acceptChanges: true,
                options =>
                {
                    OptionsFile.Set(
                        options,
                        "optimiser." + path,
                        to is int number ? JsonValue.Create(number) : JsonValue.Create((string)to)
                    );
                    if (path == "kind" && !keep)
                        options["optimiser"]!.AsObject().Remove("eightBit");
                }
            );
    }

    [Fact]
    public void Weights_can_change_their_type_in_a_resumed_run()
    {
        TinyRun.TrainUntil(Options(Narrow), _folder["run"], static p => p.Step == 3);
        using (
            var run = TrainingRun.Resume(
                _folder["run"],
                null,
                TimeProvider.System,
                acceptChanges: true,
                static options => OptionsFile.Set(options, "optimiser.weights", "float32")
            )
        )
            run.Train(new ProgressProbe(), CancellationToken.None);
        using var saved = SafetensorsFile.Open(Path.Combine(_folder["run"], "model", Weights));
        Assert.All(saved.Names, name => Assert.Equal(DType.Float32, saved.DTypeOf(name)));
    }

    [Fact]
    public void Prodigy_logs_its_estimate()
    {
        var progress = new ProgressProbe();
        TinyRun.Train(
            Options(""" "optimiser.kind": "prodigy", "optimiser.prodigy": { "start": 1e-5 }, "optimiser.schedule.shape": "constant", """),
            _folder["run"],
            progress
        );
        var records = MetricsReader.Read(Path.Combine(_folder["run"], "metrics.jsonl"));
        double[] estimates = [.. records.Select(static r => r.Find("optimiser/d")).OfType<double>()];
        Assert.Equal(9, estimates.Length);
        Assert.Equal(1e-5, estimates[0]);
        Assert.True(estimates[^1] > 1e-5, estimates[^1].ToString("R", CultureInfo.InvariantCulture));
        Assert.Equal(estimates.Order(), estimates);
        Assert.Contains(progress.Notes, static n => n.EndsWith("Prodigy, learning rate 1, constant", StringComparison.Ordinal));
        Assert.All(records, static r => Assert.Equal(1, r.Find("learning_rate")));
    }

    private static TrainingOptions Options(string set)
    {
        var average = set.Contains("averages", StringComparison.Ordinal) ? "" : Average;
        return TinyRun.Denoiser("{}", set: $"{{ {average} {set.TrimEnd().TrimEnd(',')} }}");
    }

    private string Last(string run) => new CheckpointStore(_folder[run]).FolderOf(9);

    private long Bytes(string name)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Last("whole"), name + ".safetensors"));
        return file.Names.Sum(n => file.ShapeOf(n).Aggregate(1L, static (a, b) => a * b) * file.DTypeOf(n).Size());
    }
}
