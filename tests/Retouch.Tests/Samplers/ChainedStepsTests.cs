using Retouch.Conditioning;
using Retouch.Diffusion;
using Retouch.Samplers;
using Retouch.Samplers.Solvers;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>Each step ends at the start of the next, even if the number of steps does not divide the schedule.</summary>
public sealed class ChainedStepsTests
{
    private static readonly DdpmFormulation Formulation = new(NoiseSchedule.ScaledLinear(), PredictionType.Epsilon);

    [Theory]
    [InlineData(false, TimestepSpacing.Linspace, 7)]
    [InlineData(false, TimestepSpacing.Trailing, 7)]
    [InlineData(true, TimestepSpacing.Linspace, 13)]
    [InlineData(true, TimestepSpacing.Trailing, 15)]
    public void Steps_are_a_chain(bool isDdim, TimestepSpacing spacing, int steps)
    {
        Solver solver = isDdim ? new Ddim { SetAlphaToOne = true } : new Ddpm();
        var plan = SamplingPlan.Create(Formulation, new() { Solver = solver, Spacing = spacing }, steps);
        for (var k = 0; k + 1 < steps; k++)
            Assert.Equal(plan.Steps[k + 1].From, plan.Steps[k].To);
        Assert.Equal(0, plan.Steps[^1].To.B);
    }

    /// <summary>
    /// Data with standard deviation 0.05 and the exact linear network: the variance after each step of DDPM has a closed form. A chain
    /// leaves no noise. A step that ended a whole stride below its start would leave 0.114 (linspace, 7 steps) and 0.030 (trailing).
    /// </summary>
    [Theory]
    [InlineData(TimestepSpacing.Linspace, 7, 0.022, 0.024)]
    [InlineData(TimestepSpacing.Linspace, 13, 0.022, 0.024)]
    [InlineData(TimestepSpacing.Linspace, 20, 0.022, 0.024)]
    [InlineData(TimestepSpacing.Trailing, 7, 0.006, 0.009)]
    [InlineData(TimestepSpacing.Trailing, 13, 0.006, 0.009)]
    [InlineData(TimestepSpacing.Trailing, 15, 0.006, 0.009)]
    public void No_noise_remains_for_a_Gaussian(TimestepSpacing spacing, int steps, double low, double high)
    {
        const double Deviation = 0.05;
        var plan = SamplingPlan.Create(Formulation, new() { Solver = new Ddpm(), Spacing = spacing }, steps);
        Assert.InRange(Math.Round(Left(plan.Steps), 3), low, high);
        var stride = Formulation.TrainSteps / steps;
        var strides = plan.Steps.Select(s => new Transition(
            s.From,
            s.From.Timestep - stride >= 0 ? Formulation.PointAt(s.From.Timestep - stride) : plan.Steps[^1].To
        ));
        Assert.True(Left(strides) > high);

        static double Left(IEnumerable<Transition> transitions)
        {
            var variance = 1.0;
            foreach (var step in transitions)
            {
                var (from, to) = (step.From, step.To);
                var clean = from.A * Deviation * Deviation / ((from.A * from.A * Deviation * Deviation) + (from.B * from.B));
                var factor =
                    (to.A * step.ForwardVariance / (from.B * from.B) * clean) + (from.A / to.A * (to.B * to.B) / (from.B * from.B));
                variance = (factor * factor * variance) + (from.Timestep > 0 ? step.PosteriorVariance : 0);
            }

            return Math.Sqrt(variance);
        }
    }

    [Fact]
    public void A_zero_noise_prediction_is_independent_of_the_number_of_steps()
    {
        using var scope = TensorScope.Enter();
        float[] Run(int steps, bool compatible)
        {
            var options = new SamplerOptions
            {
                Solver = compatible ? new DdimCompatible() : new Ddim(),
                Spacing = TimestepSpacing.Linspace,
            };
            var plan = SamplingPlan.Create(Formulation, options, steps);
            return new SamplingLoop(options, plan)
                .Run(
                    new FunctionModel(Formulation, static (z, _) => z * 0),
                    new Condition(),
                    static () => Ops.Ones([1, 1, 2, 2], dtype: DType.Float32)
                )
                .Value.ToArray<float>();
        }

        Assert.Equal(Run(50, false)[0], Run(7, false)[0], 1e-4);
        Assert.True(Math.Abs(Run(50, true)[0] - Run(7, true)[0]) > 0.05);
    }
}
