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
    public void The_default_average_spans_a_tenth_of_the_run(long steps, double decay) =>
        Assert.Equal(new WeightAverageOptions { Decay = decay, Warmup = AverageWarmup.Ratio }, WeightAverageOptions.Fitting(steps));

    [Fact]
    public void The_initial_weights_decay_exponentially()
    {
        Assert.Equal(0.8187, new WeightAverageOptions { Decay = 0.9999 }.Remainder(2000), 4);
        Assert.Equal(0, new WeightAverageOptions { Decay = 0.9999, Warmup = AverageWarmup.Ratio }.Remainder(2000));
    }
}
