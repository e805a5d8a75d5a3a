using Retouch.Conditioning;
using Retouch.Torch;

namespace Retouch.Tests.Conditioning;

/// <summary>Prompts are dropped as often as asked, whole, by the generator alone.</summary>
public sealed class PromptDropoutTests
{
    private const int Samples = 4000;

    [Theory]
    [InlineData(0.0, 0, 0)]
    [InlineData(0.1, 320, 480)]
    [InlineData(1.0, Samples, Samples)]
    public void A_dropped_sample_has_all_of_the_empty_prompt_and_the_others_stay(double probability, int least, int most)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var labels = Ops.Zeros([Samples], dtype: DType.Int64);
        var times = Ops.Ones([Samples, 6]);
        var condition = new Condition(labels)
        {
            Text = Ops.Ones([Samples, 2, 3]), TextMask = Ops.Ones([Samples, 2], dtype: DType.Int64), Pooled = Ops.Ones([Samples, 4]), TimeIds = times,
        };
        var empty = new Condition { Text = Ops.Full([1, 2, 3], 7.0), TextMask = Ops.Zeros([1, 2], dtype: DType.Int64), Pooled = Ops.Full([1, 4], 9.0) };
        var dropped = PromptDropout.Apply(condition, empty, probability, generator);
        var texts = dropped.Text!.ToArray<float>().Chunk(6).ToList();
        var masks = dropped.TextMask!.ToArray<long>().Chunk(2).ToList();
        var pooled = dropped.Pooled!.ToArray<float>().Chunk(4).ToList();
        for (var k = 0; k < Samples; k++)
        {
            var gone = texts[k][0] == 7;
            Assert.All(texts[k], v => Assert.Equal(gone ? 7 : 1, v));
            Assert.All(masks[k], v => Assert.Equal(gone ? 0 : 1, v));
            Assert.All(pooled[k], v => Assert.Equal(gone ? 9 : 1, v));
        }

        Assert.InRange(texts.Count(static t => t[0] == 7), least, most);
        Assert.Same(labels, dropped.ClassLabels);
        Assert.Same(times, dropped.TimeIds);
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var condition = new Condition { Text = Ops.Ones([2, 2, 3]) };
        Assert.Throws<ArgumentException>(() => PromptDropout.Apply(new Condition(), condition, 0.5, generator));
        Assert.Throws<ArgumentException>(() => PromptDropout.Apply(condition, new Condition { Text = Ops.Ones([1, 3, 3]) }, 0.5, generator));
        Assert.Throws<ArgumentException>(() => PromptDropout.Apply(condition, new Condition { Text = Ops.Ones([2, 2, 3]) }, 0.5, generator));
        Assert.Throws<ArgumentException>(() => PromptDropout.Apply(condition, new Condition { Text = Ops.Ones([1, 2, 3]), Pooled = Ops.Ones([1, 4]) }, 0.5, generator));
        Assert.Throws<ArgumentOutOfRangeException>(() => PromptDropout.Apply(condition, new Condition { Text = Ops.Ones([1, 2, 3]) }, 1.5, generator));
    }
}
