using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training;

public sealed class TrainingBatchTests
{
    [Theory]
    // [winners; losers; single samples; prior samples] of a batch of four pairs.
    [InlineData(4, 2, 2, 1, "0 4 8 10")]
    [InlineData(4, 2, 2, 2, "0 1 4 5 8 10")]
    // Without pairs, the size counts the single samples.
    [InlineData(0, 4, 0, 1, "0")]
    [InlineData(0, 4, 0, 2, "0 1")]
    [InlineData(0, 4, 2, 2, "0 1 4")]
    public void A_part_has_the_composition_of_the_batch(int pairs, int single, int prior, int count, string expected)
    {
        using var scope = TensorScope.Enter();
        var all = (2 * pairs) + single + prior;
        var numbers = Tensor.From(Enumerable.Range(0, all).Select(static k => (float)k).ToArray(), all, 1, 1, 1);
        var batch = new TrainingBatch(
            numbers,
            null,
            [.. Enumerable.Range(0, all).Select(static k => new Sample($"{k}", null, null))],
            new FrameRecord[all],
            default
        )
        {
            Pairs = pairs,
            Prior = prior,
            Masks = numbers,
        };
        var part = batch.Part(count, 4);
        Assert.Equal(expected, string.Join(' ', part.Images!.ToArray<float>()));
        Assert.Equal(expected, string.Join(' ', part.Masks!.ToArray<float>()));
        Assert.Equal(expected, string.Join(' ', part.Samples.Select(static s => s.Id)));
        Assert.Equal((Math.Min(count, pairs), prior > 0, part.Count), (part.Pairs, part.Prior > 0, part.Frames.Count));
    }
}
