using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Tests.Diffusion;

/// <summary>Properties of all formulations.</summary>
public sealed class FormulationTests
{
    public static TheoryData<string> All => ["eps", "v", "sample", "zero-snr v", "cosine v", "flow"];

    [Theory]
    [MemberData(nameof(All))]
    public void The_target_gives_the_clean_latent_and_the_noise(string name)
    {
        using var scope = TensorScope.Enter();
        var formulation = Create(name);
        double[] times = name == "flow" ? [0, 1, 250, 777.7, 1000] : [0, 1, 250, 777, 990];
        var noisy = Mixed(formulation, times, seed: 3);
        var estimate = formulation.Read(noisy.Value, noisy.Level, new Prediction(formulation.Target(noisy)));
        Close(noisy.Clean.Value, estimate.Z0.Value, 2e-3);
        // At t = 0 a flow's ε̂ is still exact, since v contains it; z0 prediction divides by b_t there.
        Close(noisy.Noise, estimate.Noise, 2e-3);
        Assert.Equal(0, formulation.Residual(noisy, estimate.Raw).Abs().Max().Item());
        Close(noisy.Value, formulation.Remix(noisy, estimate), 2e-3);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Estimate_and_prediction_are_inverse(string name)
    {
        using var scope = TensorScope.Enter();
        var formulation = Create(name);
        var noisy = Mixed(formulation, [100, 250, 777, 900], seed: 5);
        using var generator = Generator.Create(Device.Cpu, 6);
        var z0 = new Latent(Ops.Randn(noisy.Value.Shape, generator));
        var implied = formulation.FromEstimate(noisy, z0);
        var read = formulation.Read(noisy.Value, noisy.Level, implied.Raw);
        Assert.Same(z0, implied.Z0);
        Close(z0.Value, read.Z0.Value, 2e-3);
        Close(implied.Noise, read.Noise, 2e-3);
    }

    [Fact]
    public void Equivalent_outputs_give_the_same_estimates()
    {
        using var scope = TensorScope.Enter();
        var schedule = NoiseSchedule.ScaledLinear();
        var eps = new DdpmFormulation(schedule, PredictionType.Epsilon);
        for (var seed = 0UL; seed < 20; seed++)
        {
            using var generator = Generator.Create(Device.Cpu, seed);
            var times = eps.SampleTimes(4, generator);
            var noisy = Mixed(eps, times, seed);
            var output = Ops.Randn(noisy.Value.Shape, generator);
            var reference = eps.Read(noisy.Value, noisy.Level, new Prediction(output));
            var (a, b) = (noisy.Level.A.View([-1L, 1, 1, 1]), noisy.Level.B.View([-1L, 1, 1, 1]));
            // v and z0 of the same pair (ẑ0, ε̂); float32 loses at most b/a of the digits.
            var worst = noisy.Level.Sigma.Max().Item() * 1e-5;
            var v = new DdpmFormulation(schedule, PredictionType.VPrediction).Read(
                noisy.Value,
                noisy.Level,
                new Prediction((a * output) - (b * reference.Z0.Value))
            );
            Close(reference.Z0.Value, v.Z0.Value, worst + 1e-5);
            Close(output, v.Noise, worst + 1e-5);
            var sample = new DdpmFormulation(schedule, PredictionType.Sample).Read(
                noisy.Value,
                noisy.Level,
                new Prediction(reference.Z0.Value)
            );
            Close(output, sample.Noise, 1e-3);

            // The same pair on the straight path: z_t and v̂ of a flow at its own level.
            var flow = new FlowFormulation();
            var level = flow.LevelsAt(Array.ConvertAll(times, static t => t + 0.5), Device.Cpu);
            var mixed = flow.AddNoise(reference.Z0, output, level);
            var straight = flow.Read(mixed.Value, level, new Prediction(output - reference.Z0.Value));
            Close(reference.Z0.Value, straight.Z0.Value, worst + 1e-5);
            Close(output, straight.Noise, worst + 1e-5);
        }
    }

    [Fact]
    public void The_remix_differs_from_the_noisy_latent_as_in_the_paper()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 9);
        foreach (var name in (string[])["v", "flow"])
        {
            var formulation = Create(name);
            var noisy = Mixed(formulation, [5, 400, 900], seed: 4);
            var off = Ops.Randn(noisy.Value.Shape, generator);
            var estimate = formulation.Read(noisy.Value, noisy.Level, new Prediction(formulation.Target(noisy) + off));
            var factor = (noisy.Level.A * noisy.Level.B).View([-1L, 1, 1, 1]);
            Close(noisy.Value + (factor * off), formulation.Remix(noisy, estimate), 1e-5);
        }
    }

    [Fact]
    public void A_half_precision_output_is_converted_to_float32_with_gradients()
    {
        using var scope = TensorScope.Enter();
        var formulation = Create("eps");
        var noisy = Mixed(formulation, [900, 10], seed: 5);
        var output = noisy.Noise.To(DType.BFloat16).Detach();
        output.RequiresGrad = true;
        var estimate = formulation.Read(noisy.Value, noisy.Level, new Prediction(output));
        Assert.Equal(
            [DType.Float32, DType.Float32, DType.Float32],
            [estimate.Z0.Value.DType, estimate.Noise.DType, formulation.Residual(noisy, estimate.Raw).DType]
        );
        Autograd.Backward(estimate.Z0.Value.Sum());
        // ∂ẑ0/∂ε̂ = −b/a = −σ.
        var expected = noisy.Level.Sigma.Neg().View([-1L, 1, 1, 1]).ExpandAs(output);
        Close(expected, output.Grad!.To(DType.Float32), 0.05);
    }

    [Fact]
    public void A_broadcasting_shape_is_rejected()
    {
        using var scope = TensorScope.Enter();
        var formulation = Create("v");
        var noisy = Mixed(formulation, [900, 10], seed: 5);
        var message = Assert
            .Throws<ArgumentException>(() => formulation.Read(noisy.Value, noisy.Level, new Prediction(Ops.Zeros([1, 3, 4, 4]))))
            .Message;
        Assert.Contains("[1, 3, 4, 4]", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Epsilon_at_pure_noise_is_rejected()
    {
        var schedule = NoiseSchedule.ScaledLinear(zeroTerminalSnr: true);
        Assert.Equal(0, schedule.AlphasCumprod[^1]);
        var error = Assert.Throws<UsageException>(() => new DdpmFormulation(schedule));
        Assert.Contains("v_prediction", error.Message, StringComparison.Ordinal);
        Assert.Equal(double.PositiveInfinity, new DdpmFormulation(schedule, PredictionType.VPrediction).PointAt(999).Sigma);
    }

    [Fact]
    public void Min_snr_weights_stay_finite_at_both_ends()
    {
        using var scope = TensorScope.Enter();
        var flow = new FlowFormulation();
        Assert.Equal([0f, 0.25f, 0f], flow.LossWeights(flow.LevelsAt([0, 500, 1000], Device.Cpu), LossWeighting.MinSnr()).ToArray<float>());
        var v = Create("zero-snr v");
        Assert.Equal(0, v.LossWeights(v.LevelsAt([999], Device.Cpu), LossWeighting.MinSnr()).Item());
        Assert.Equal([1f, 1f], v.LossWeights(v.LevelsAt([3, 999], Device.Cpu), LossWeighting.Uniform).ToArray<float>());
        Assert.Throws<UsageException>(() => v.LossWeights(v.LevelsAt([3], Device.Cpu), new LossWeighting(LossWeightingKind.CosMap)));
        Assert.Throws<UsageException>(() => LossWeighting.MinSnr(0));
    }

    [Fact]
    public void Timesteps_follow_the_density_and_the_seed()
    {
        using var first = Generator.Create(Device.Cpu, 1);
        using var second = Generator.Create(Device.Cpu, 1);
        var ddpm = Create("eps");
        var times = ddpm.SampleTimes(20_000, first);
        Assert.Equal(times, ddpm.SampleTimes(20_000, second));
        Assert.All(times, static t => Assert.True(t == Math.Floor(t) && t is >= 0 and <= 999));
        Assert.Equal(0, times.Min());
        Assert.Equal(999, times.Max());
        // Five standard errors of the mean of a uniform variable.
        Assert.InRange(times.Average(), 499.5 - (5 * 288.7 / Math.Sqrt(20_000)), 499.5 + (5 * 288.7 / Math.Sqrt(20_000)));

        var flow = new FlowFormulation(TimestepDensity.LogitNormal(0.4, 0.8), shift: 3).SampleTimes(20_001, first);
        // A monotonic map keeps the median: the logistic of 0.4, shifted.
        var median = 1000 * FlowFormulation.ShiftTime(1 / (1 + Math.Exp(-0.4)), 3);
        Assert.InRange(flow.Order().ElementAt(10_000), median - 8, median + 8);
        Assert.True(new FlowFormulation(TimestepDensity.Mode()).SampleTimes(5_000, first).Min() >= 1);
    }

    [Theory]
    [InlineData("uniform")]
    [InlineData("logit-normal")]
    [InlineData("mode")]
    public void Densities_integrate_to_one_and_match_the_samples(string name)
    {
        var density = name switch
        {
            "uniform" => TimestepDensity.Uniform,
            "mode" => TimestepDensity.Mode(1.29),
            _ => TimestepDensity.LogitNormal(-0.5, 0.7),
        };
        const int n = 20_000;
        double Integral(double from, double to) =>
            Enumerable.Range(0, n).Sum(k => density.Density(from + ((k + 0.5) * (to - from) / n))) * (to - from) / n;
        Assert.Equal(1, Integral(0, 1), 4);
        using var generator = Generator.Create(Device.Cpu, 2);
        var drawn = density.Sample(n, generator);
        var share = Integral(0.2, 0.4);
        var seen = drawn.Count(static t => t is >= 0.2 and < 0.4) / (double)n;
        Assert.InRange(seen, share - (5 * Math.Sqrt(share / n)), share + (5 * Math.Sqrt(share / n)));
    }

    [Theory]
    [InlineData("uniform")]
    [InlineData("logit-normal")]
    [InlineData("mode")]
    public void Stratified_times_follow_the_density_in_every_step_and_micro_batch(string name)
    {
        const int count = 5,
            micros = 4;
        var density = name switch
        {
            "uniform" => TimestepDensity.Uniform,
            "mode" => TimestepDensity.Mode(),
            _ => TimestepDensity.LogitNormal(-0.5, 0.7),
        };
        const int n = 20_000;
        double Below(double t) => Enumerable.Range(0, n).Sum(k => density.Density((k + 0.5) * t / n)) * t / n;
        foreach (var offset in (double[])[0, 0.013, 0.5, 0.999])
        {
            var parts = Enumerable.Range(0, micros).Select(m => density.Stratified(offset, count, m, micros)).ToArray();
            double[] all = [.. parts.SelectMany(static p => p).Order()];
            Assert.Equal(count * micros, all.Length);
            foreach (var t in (double[])[0.1, 0.35, 0.6, 0.9])
            {
                // Equally spaced quantiles: the share below any time is the distribution function, to within one time.
                Assert.InRange(all.Count(x => x < t) - (Below(t) * count * micros), -1.001, 1.001);
                var each = parts.Select(p => p.Count(x => x < t)).ToArray();
                Assert.InRange(each.Max() - each.Min(), 0, 1);
            }
        }

        // Over all offsets each sample has the density itself.
        for (var sample = 0; sample < count; sample++)
        {
            var times = Enumerable.Range(0, 1000).Select(k => density.Stratified(k / 1000.0, count, 1, micros)[sample]).ToArray();
            foreach (var t in (double[])[0.1, 0.35, 0.6, 0.9])
                Assert.InRange(times.Count(x => x < t) / 1000.0, Below(t) - 0.0021, Below(t) + 0.0021);
        }
    }

    [Fact]
    public void Invalid_densities_shifts_and_schedules_are_rejected()
    {
        Assert.Throws<UsageException>(() => TimestepDensity.Mode(1.8));
        Assert.Throws<UsageException>(() => TimestepDensity.LogitNormal(0, 0));
        Assert.Throws<UsageException>(() => new FlowFormulation(shift: 0));
        Assert.Throws<UsageException>(() => NoiseSchedule.Linear(-0.1, 0.2));
        Assert.Throws<UsageException>(() => NoiseSchedule.Linear(steps: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Create("eps").PointAt(1000));
        Assert.Throws<ArgumentOutOfRangeException>(() => Create("flow").PointAt(1001));
    }

    [Fact]
    public void Fractional_timesteps_are_interpolated_and_invertible()
    {
        var ddpm = (DdpmFormulation)Create("v");
        foreach (var time in (double[])[0, 1, 333, 998, 999])
        {
            var point = ddpm.PointAt(time);
            var back = ddpm.PointOfSigma(point.Sigma);
            Assert.Equal(time, back.Timestep, 9);
            Assert.Equal(1, (point.A * point.A) + (point.B * point.B), 12);
        }

        var middle = ddpm.PointAt(332.5);
        Assert.InRange(middle.Sigma, ddpm.PointAt(332).Sigma, ddpm.PointAt(333).Sigma);
        Assert.InRange(ddpm.PointOfSigma(middle.Sigma).Timestep, 332, 333);
        Assert.Equal(0, ddpm.PointOfSigma(0).B);
        Assert.Equal(999, ddpm.PointOfSigma(1e9).Timestep);
    }

    internal static Formulation Create(string name) =>
        name switch
        {
            "eps" => new DdpmFormulation(NoiseSchedule.ScaledLinear()),
            "v" => new DdpmFormulation(NoiseSchedule.ScaledLinear(), PredictionType.VPrediction),
            "sample" => new DdpmFormulation(NoiseSchedule.Linear(), PredictionType.Sample),
            "zero-snr v" => new DdpmFormulation(NoiseSchedule.ScaledLinear(zeroTerminalSnr: true), PredictionType.VPrediction),
            "cosine v" => new DdpmFormulation(NoiseSchedule.SquaredCos(), PredictionType.VPrediction),
            _ => new FlowFormulation(),
        };

    private static NoisedLatent Mixed(Formulation formulation, double[] times, ulong seed)
    {
        using var generator = Generator.Create(Device.Cpu, seed);
        long[] shape = [times.Length, 3, 4, 4];
        return formulation.AddNoise(
            new Latent(Ops.Randn(shape, generator)),
            Ops.Randn(shape, generator),
            formulation.LevelsAt(times, Device.Cpu)
        );
    }

    private static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        var worst = (expected - actual).Abs().Max().Item();
        Assert.True(worst <= tolerance, $"They differ by {worst:R}, more than {tolerance:R}.");
    }
}
