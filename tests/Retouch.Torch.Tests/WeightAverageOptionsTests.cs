using Retouch.Torch.Optim;

namespace Retouch.Torch.Tests;

public sealed class WeightAverageOptionsTests
{
    [Theory]
    [InlineData(1, 0.9)]
    [InlineData(150, 0.93)]
    [InlineData(1000, 0.99)]
    [InlineData(2000, 0.995)]
    [InlineData(5500, 0.998)]
    [InlineData(1_000_000, 0.9999)]
    public void A_fitting_average_remembers_a_tenth_of_the_run(long steps, double decay) =>
        Assert.Equal(new WeightAverageOptions { Decay = decay, Warmup = AverageWarmup.Ratio }, WeightAverageOptions.Fitting(steps));

    [Fact]
    public void What_is_left_of_the_start_is_the_decay_to_the_power_of_the_steps()
    {
        Assert.Equal(0.8187, new WeightAverageOptions { Decay = 0.9999 }.Remainder(2000), 4);
        Assert.Equal(0, new WeightAverageOptions { Decay = 0.9999, Warmup = AverageWarmup.Ratio }.Remainder(2000));
    }
}
