using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training;

/// <summary>Five complete training steps (noise, prediction, losses with the decoder, clipping, AdamW, average) against diffusers' networks
/// in PyTorch.</summary>
public sealed class TrainingGoldenTests
{
    // As recommended by the case: losses and probe within 1e-3, since a mask flip at a threshold can change the loss slightly.
    private const double Relative = 1e-3;

    [Theory]
    [InlineData("v", "v_prediction", 3.0, 0.5, 1.0, 0.9)]
    [InlineData("flow", "flow", 2.0, 1.0, 0.5, 0.99)]
    [InlineData("latent_only_eps", "epsilon", 3.0, 0.0, 1.0, 0.9)]
    public void Five_steps_equal_the_golden(string name, string prediction, double threshold, double weight, double clip, double decay) =>
        Check(name, prediction, threshold, weight, clip, decay, Device.Cpu);

    [CudaTheory]
    [InlineData("v", "v_prediction", 3.0, 0.5, 1.0, 0.9)]
    [InlineData("flow", "flow", 2.0, 1.0, 0.5, 0.99)]
    [InlineData("latent_only_eps", "epsilon", 3.0, 0.0, 1.0, 0.9)]
    public void Five_steps_on_a_GPU_equal_the_golden(
        string name,
        string prediction,
        double threshold,
        double weight,
        double clip,
        double decay
    ) => Check(name, prediction, threshold, weight, clip, decay, Device.Cuda());

    private static void Check(string name, string prediction, double threshold, double weight, double clip, double decay, Device device)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("training_dit_lpl", device);
        var scheduler =
            prediction == "flow"
                ? new JsonObject
                {
                    ["_class_name"] = "FlowMatchEulerDiscreteScheduler",
                    ["num_train_timesteps"] = 1000,
                    ["shift"] = 1.0,
                }
                : new JsonObject
                {
                    ["_class_name"] = "DDIMScheduler",
                    ["num_train_timesteps"] = 1000,
                    ["beta_start"] = 0.00085,
                    ["beta_end"] = 0.012,
                    ["beta_schedule"] = "scaled_linear",
                    ["prediction_type"] = prediction,
                };
        var pipeline = TinyModel.Pipeline(scheduler, device);
        var perceptual = new LatentPerceptualOptions
        {
            Weight = weight,
            TargetFrequencies = 0,
            ErrorScale = 1,
            Threshold = threshold,
            DepthWeighting = DepthWeighting.Exponential,
            Statistics = StatisticsSource.Estimate,
            StatisticsGradient = 0,
            VarianceFloor = 0,
            ResolutionScale = 1,
            SampleReduction = SampleReduction.Active,
            Taps = [.. Enumerable.Range(0, pipeline.Autoencoder.Taps.Count)],
        };
        var options = new TrainingOptions
        {
            Data = new() { Size = 64 },
            Objective = new() { Perceptual = weight > 0 ? perceptual : null },
        };
        using var task = new DenoiserTask(pipeline, options, device, DType.Float32);
        task.Network.RequireGrad(true);
        using var optimiser = new AdamW(task.Network.Trained, new AdamWOptions { DecayOn = DecayedParameters.All });
        using var average = new WeightAverage(task.Network.Trained, new WeightAverageOptions { Decay = decay });
        var formulation = FormulationFactory.FromSchedulerConfig(scheduler);
        List<double> latent = [],
            auxiliary = [],
            total = [],
            norms = [];
        for (var step = 0; step < 5; step++)
        {
            var times =
                prediction == "flow"
                    ? golden.Read("in.flow_t").Select(0, step).ToArray<double>().Select(static t => t * 1000).ToArray()
                    : golden.Read("in.timesteps").Select(0, step).ToArray<double>();
            var noisy = formulation.AddNoise(
                new Latent(golden.Read("in.z0").Select(0, step)),
                golden.Read("in.noise").Select(0, step),
                formulation.LevelsAt(times, device)
            );
            optimiser.ZeroGrad();
            var loss = task.Evaluate(noisy, new Condition(golden.Read("in.labels").Select(0, step)), null);
            Autograd.Backward(loss.Loss.Total);
            norms.Add(optimiser.GradientNorm());
            latent.Add(loss.Loss.Terms[0].Raw);
            auxiliary.Add(loss.Loss.Terms.Count > 1 ? loss.Loss.Terms[1].Raw : 0);
            total.Add(loss.Loss.Total.Item());
            optimiser.Step(1e-3, Math.Min(1, clip / (norms[^1] + 1e-6)), [average]);
        }

        Close(golden, $"out.{name}.loss_latent", latent);
        if (weight > 0)
            Close(golden, $"out.{name}.loss_lpl", auxiliary);
        Close(golden, $"out.{name}.loss_total", total);
        Close(golden, $"out.{name}.grad_norm", norms);
        using (Autograd.NoGrad())
            Close(
                golden,
                $"out.{name}.probe",
                pipeline
                    .Denoiser.Predict(
                        golden.Read("in.probe"),
                        golden.Read("in.probe_timestep"),
                        new Condition(golden.Read("in.probe_labels"))
                    )
                    .Value.ToArray<double>()
            );
        var order = golden.Document["params"]!["parameter_order"]!.AsArray().Select(static n => (string)n!).ToArray();
        CheckSums(golden, $"out.{name}.params", order, task.Network.Trained.ToDictionary(static p => p.Name, static p => p.Value));
        CheckSums(golden, $"out.{name}.ema", order, average.Tensors().ToDictionary(static p => p.Key, static p => p.Value));
    }

    private static void Close(GoldenCase golden, string name, IReadOnlyList<double> actual)
    {
        var expected = golden.Read(name).ToArray<double>();
        Assert.Equal(expected.Length, actual.Count);
        var largest = expected.Max(Math.Abs);
        for (var k = 0; k < expected.Length; k++)
            Assert.True(
                Math.Abs(expected[k] - actual[k]) <= Relative * Math.Max(Math.Abs(expected[k]), 0.1 * largest),
                $"{name}[{k}]: expected {expected[k]:R}, got {actual[k]:R}"
            );
    }

    /// <summary>L2 norm and dot product with cos(0.37·i) of every parameter except key biases, whose gradient is zero and which drift by
    /// rounding.</summary>
    private static void CheckSums(GoldenCase golden, string name, string[] order, Dictionary<string, Tensor> tensors)
    {
        var norms = golden.Read(name + "_l2").ToArray<double>();
        var dots = golden.Read(name + "_dot").ToArray<double>();
        for (var k = 0; k < order.Length; k++)
        {
            if (order[k].EndsWith("attn1.to_k.bias", StringComparison.Ordinal))
                continue;
            var values = tensors[order[k]].ToArray<double>();
            var norm = Math.Sqrt(values.Sum(static v => v * v));
            var dot = values.Select(static (v, i) => v * Math.Cos(0.37 * i)).Sum();
            Assert.True(
                Math.Abs(norm - norms[k]) <= Relative * norms[k],
                $"{name}: norm of {order[k]}: expected {norms[k]:R}, got {norm:R}"
            );
            Assert.True(
                Math.Abs(dot - dots[k]) <= Relative * norms[k],
                $"{name}: product of {order[k]}: expected {dots[k]:R}, got {dot:R}"
            );
        }
    }
}
