using Retouch.Data;
using Retouch.Data.Scenes;
using Retouch.Objectives;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training.HeldOut;

/// <summary>Values of a validation against the training step's own loss, and the rule of the early stop.</summary>
public sealed class ValidatorTests
{
    private const int Parts = 3;

    [Fact]
    public void Timesteps_are_the_midpoints_of_equal_strata()
    {
        double[][] parts = [.. Enumerable.Range(0, 4).Select(static p => HeldOutDraws.Strata(7, 5, p, 4))];
        var all = parts.SelectMany(static p => p).Order().ToArray();
        for (var k = 0; k < 20; k++)
            Assert.Equal((k + 0.5) / 20, all[k], 1e-12);
        for (var p = 0; p < 4; p++)
            Assert.All(parts[p], f => Assert.InRange(f, p / 4.0, (p + 1) / 4.0));
        Assert.NotEqual(parts[0].Index().OrderBy(static f => f.Item).Select(static f => f.Index), [0, 1, 2, 3, 4]);
    }

    [Theory]
    [InlineData("v_prediction", "active")]
    [InlineData("v_prediction", "batch")]
    [InlineData("flow", "active")]
    public void Values_equal_the_training_steps_loss_on_the_same_noise(string kind, string reduction)
    {
        using var scope = TensorScope.Enter();
        var options = Options(kind, reduction);
        using var task = Task(options);
        using var batches = Batches(task, options, 5);
        var validator = new Validator(task, batches, options);
        var values = validator.Evaluate(null, CancellationToken.None);
        using (var again = Batches(task, options with { Batch = new() { Size = 3 } }, 5))
        {
            var other = new Validator(task, again, options).Evaluate(null, CancellationToken.None);
            Assert.Equal(values[1]["lpl"], validator.Evaluate(null, CancellationToken.None)[1]["lpl"]);
            foreach (var name in values[0].Keys)
                Assert.Equal(values[1][name].Value, other[1][name].Value, 1e-5 * Math.Abs(values[1][name].Value));
        }

        // One sample at a time, through the loss that is differentiated in training.
        using var singles = Batches(task, options with { Batch = new() { Size = 1 } }, 5);
        for (var part = 0; part < Parts; part++)
        {
            var fractions = HeldOutDraws.Strata(options.Seed, 5, part, Parts);
            var sums = new Dictionary<string, (double Sum, double Count)>();
            for (var k = 0; k < 5; k++)
            {
                var draws = new HeldOutDraws(options.Seed, [k], part, [fractions[k]]);
                var batch = singles[k];
                var latent = draws.Latents(task.Pipeline.Autoencoder, batch.Moments!);
                var level = task.Formulation.LevelsAt([task.Formulation.TimeAt(fractions[k])], Device.Cpu);
                var noisy = task.Formulation.AddNoise(latent, draws.Noise(latent.Value.Shape), level);
                var loss = task.Evaluate(noisy, task.Conditions.Of(batch, null), batch.Images).Loss;
                foreach (var term in loss.Terms)
                {
                    var active = term.Name == "lpl" && reduction == "active" ? loss.Figures["lpl/active"].Sum : 1;
                    var (sum, count) = sums.GetValueOrDefault(term.Name);
                    sums[term.Name] = (sum + (term.Raw * active), count + active);
                }
            }

            Assert.Equal(["latent", "lpl", "pixel"], sums.Keys.Order(StringComparer.Ordinal));
            foreach (var (name, (sum, count)) in sums)
            {
                Assert.Equal(count, values[part][name].Count);
                if (count > 0)
                    Assert.Equal(sum / count, values[part][name].Value, 2e-5 * (sum / count));
            }
        }
    }

    [Fact]
    public void Patience_counts_validations_without_a_sufficient_improvement()
    {
        using var scope = TensorScope.Enter();
        var options = Options("v_prediction");
        options = options with
        {
            Validation = options.Validation! with
            {
                Stop = new EarlyStopOptions { Patience = 2, SmallestImprovement = 0.1 },
            },
        };
        using var task = Task(options);
        using var batches = Batches(task, options, 1);
        var validator = new Validator(task, batches, options);
        bool After(long step, double value)
        {
            validator.Observe(step, value);
            return validator.HasEnded;
        }

        Assert.False(After(0, 1.0));
        Assert.False(After(10, 0.85)); // 15 % lower
        Assert.False(After(20, 0.80)); // less than 10 % below 0.85, but the best
        Assert.Equal((20L, 0.80), (validator.State.BestStep, validator.State.Best));
        Assert.False(After(30, 0.76)); // more than 10 % below 0.85
        Assert.False(After(40, 0.9));
        Assert.True(After(50, double.NaN));
        Assert.Equal((30L, 0.76), (validator.State.BestStep, validator.State.Best));
        Assert.False(validator.IsDue(50));
        Assert.True(validator.IsDue(60));
        Assert.False(validator.IsDue(61));
    }

    private static TrainingOptions Options(string kind, string reduction = "batch")
    {
        var options = TinyRun.Denoiser(
            $$"""{ "perceptual": { "weight": 2, "sampleReduction": "{{reduction}}" }, "pixel": { "weight": 1 } }""",
            set: $$"""
            { "validation": { "count": 5, "every": 10, "timesteps": {{Parts}} }, "conditioning.dropout": 0.5, "batch": { "size": 2 } }
            """
        );
        return kind == "flow"
            ? options with
            {
                Model = options.Model with
                {
                    Scheduler = new System.Text.Json.Nodes.JsonObject
                    {
                        ["_class_name"] = "FlowMatchEulerDiscreteScheduler",
                        ["num_train_timesteps"] = 1000,
                    },
                },
            }
            : options;
    }

    private static DenoiserTask Task(TrainingOptions options) =>
        new(new TrainingNetworks(options, Device.Cpu).OpenPipeline([]), options, Device.Cpu, DType.Float32);

    private static HeldOutBatches Batches(DenoiserTask task, TrainingOptions options, int count) =>
        new(new ProceduralScenes(3, 16, count), new Framing { Width = 16, Height = 16 }, options, Device.Cpu, task.Pipeline.Autoencoder);
}
