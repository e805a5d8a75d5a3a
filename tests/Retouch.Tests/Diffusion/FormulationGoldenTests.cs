using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Diffusion;

/// <summary>Formulations against diffusers.</summary>
public sealed class FormulationGoldenTests
{
    [Theory]
    [InlineData("eps", PredictionType.Epsilon)]
    [InlineData("v", PredictionType.VPrediction)]
    public void Ddpm_parametrisations_equal_the_golden(string tag, PredictionType type)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("parametrisations");
        var formulation = new DdpmFormulation(NoiseSchedule.ScaledLinear(), type);
        var level = formulation.LevelsAt(golden.Read("in.timesteps").ToArray<double>(), Device.Cpu);
        golden.Check("out.alpha_bar", level.A.Square());
        golden.Check("out.sigma_vp", level.B);
        golden.Check("out.sigma_ve", level.Sigma);
        golden.Check("out.snr", level.Snr());
        var noisy = formulation.AddNoise(new Latent(golden.Read("in.x0")), golden.Read("in.noise"), level);
        golden.Check("out.ddpm.xt", noisy.Value);
        var prediction = golden.Read("in.prediction");
        var estimate = formulation.Read(noisy.Value, noisy.Level, new Prediction(prediction));
        golden.Check($"out.{tag}.target", formulation.Target(noisy));
        golden.Check($"out.{tag}.x0_hat", estimate.Z0.Value);
        if (type == PredictionType.VPrediction)
            golden.Check("out.v.eps_hat", estimate.Noise);
        else
            Assert.Equal(prediction.ToArray<float>(), estimate.Noise.ToArray<float>());
        golden.Check($"out.{tag}.target", prediction - formulation.Residual(noisy, estimate.Raw));
    }

    [Fact]
    public void The_flow_equals_the_golden()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("parametrisations");
        var flow = new FlowFormulation();
        var level = flow.LevelsAt(Array.ConvertAll(golden.Read("in.flow_t").ToArray<double>(), static t => 1000 * t), Device.Cpu);
        golden.Check("out.flow.sigma_ve", level.Sigma);
        Assert.Equal(golden.Read("in.flow_t").ToArray<float>(), level.B.ToArray<float>());
        var noisy = flow.AddNoise(new Latent(golden.Read("in.x0")), golden.Read("in.noise"), level);
        golden.Check("out.flow.xt", noisy.Value);
        golden.Check("out.flow.target", flow.Target(noisy));
        var estimate = flow.Read(noisy.Value, noisy.Level, new Prediction(golden.Read("in.prediction")));
        golden.Check("out.flow.x0_hat", estimate.Z0.Value);
        golden.Check("out.flow.noise_hat", estimate.Noise);
    }

    [Theory]
    [InlineData("eps", PredictionType.Epsilon)]
    [InlineData("v", PredictionType.VPrediction)]
    [InlineData("x0", PredictionType.Sample)]
    public void Min_snr_weights_equal_the_golden(string tag, PredictionType type)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("min_snr");
        var formulation = new DdpmFormulation(NoiseSchedule.ScaledLinear(), type);
        var level = formulation.LevelsAt(golden.Read("in.timesteps").ToArray<double>(), Device.Cpu);
        golden.Check("out.snr", level.Snr());
        golden.Check($"out.gamma1.{tag}", formulation.LossWeights(level, LossWeighting.MinSnr(1)));
        golden.Check($"out.gamma5.{tag}", formulation.LossWeights(level, LossWeighting.MinSnr(5)));
    }

    [Theory]
    [InlineData(0.0, 1.0)]
    [InlineData(-0.5, 0.7)]
    public void The_logit_normal_density_equals_the_golden(double mean, double deviation)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("timestep_sampling");
        var density = TimestepDensity.LogitNormal(mean, deviation);
        var tag = $"out.logit_normal.m{mean:F1}.s{deviation:F1}";
        golden.Check($"{tag}.t_from_normal", Map(golden.Read("in.z"), density.FromNormal));
        golden.Check($"{tag}.density", Map(golden.Read("in.t"), density.Density));
    }

    [Theory]
    [InlineData(0.0, "0.0")]
    [InlineData(0.8, "0.8")]
    [InlineData(1.29, "1.29")]
    public void Mode_sampling_equals_the_golden(double scale, string tag)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("timestep_sampling");
        var density = TimestepDensity.Mode(scale);
        golden.Check($"out.mode.s{tag}.t_from_uniform", Map(golden.Read("in.u"), density.FromUniform));
        golden.Check($"out.mode.s{tag}.density_at_t", Map(golden.Read("in.u"), u => density.Density(density.FromUniform(u))));
    }

    [Fact]
    public void Shift_and_flow_weightings_equal_the_golden()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("timestep_sampling");
        var times = golden.Read("in.t");
        golden.Check("out.shift1.0", Map(times, static t => FlowFormulation.ShiftTime(t, 1)));
        golden.Check("out.shift3.0", Map(times, static t => FlowFormulation.ShiftTime(t, 3)));
        var flow = new FlowFormulation();
        var level = flow.LevelsAt(Array.ConvertAll(times.ToArray<double>(), static t => 1000 * t), Device.Cpu);
        golden.Check("out.weighting.sigma_sqrt", flow.LossWeights(level, new LossWeighting(LossWeightingKind.SigmaSqrt)));
        golden.Check("out.weighting.cosmap", flow.LossWeights(level, new LossWeighting(LossWeightingKind.CosMap)));
    }

    private static Tensor Map(Tensor values, Func<double, double> f) =>
        Tensor.From(Array.ConvertAll(values.ToArray<double>(), x => (float)f(x)), values.Shape);
}
