using Retouch.Conditioning;
using Retouch.Torch;

namespace Retouch.Tests.Conditioning;

/// <summary>Labels are dropped with the given probability, depending on the generator only.</summary>
public sealed class ClassDropoutTests
{
    private static readonly long[] Labels = [.. Enumerable.Range(0, 4000).Select(static k => (long)(k % 10))];

    [Theory]
    [InlineData(0.0, 0, 0)]
    [InlineData(0.1, 320, 480)]
    [InlineData(1.0, 4000, 4000)]
    public void Labels_are_dropped_with_the_given_probability(double probability, int least, int most)
    {
        var dropped = Drop(probability, 3);
        Assert.InRange(dropped.Count(static l => l == 10), least, most);
        Assert.All(dropped.Zip(Labels), static pair => Assert.True(pair.First == 10 || pair.First == pair.Second));
    }

    [Fact]
    public void The_result_depends_on_the_seed_only()
    {
        Assert.Equal(Drop(0.5, 3), Drop(0.5, 3));
        Assert.NotEqual(Drop(0.5, 3), Drop(0.5, 4));
    }

    [Fact]
    public void Invalid_probabilities_are_rejected()
    {
        Assert.Throws<ArgumentOutOfRangeException>(static () => Drop(1.5, 3));
        Assert.Throws<ArgumentOutOfRangeException>(static () => Drop(-0.5, 3));
    }

    private static long[] Drop(double probability, ulong seed)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, seed);
        return ClassDropout.Apply(Tensor.From(Labels), probability, 10, generator).ToArray<long>();
    }
}
