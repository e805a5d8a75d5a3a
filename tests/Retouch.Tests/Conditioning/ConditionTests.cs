using Retouch.Conditioning;
using Retouch.Torch;

namespace Retouch.Tests.Conditioning;

/// <summary>Concatenation and slicing of conditions.</summary>
public sealed class ConditionTests
{
    [Fact]
    public void Operations_apply_to_every_member()
    {
        using var scope = TensorScope.Enter();
        static Condition Make(float first) =>
            new(Tensor.From([(long)first]))
            {
                Text = Ops.Full([1, 2, 3], first),
                TextMask = Ops.Full([1, 2], (long)first, dtype: DType.Int64),
                Pooled = Ops.Full([1, 4], first),
                TimeIds = Ops.Full([1, 6], first),
            };
        var all = Condition.Cat([Make(1), Make(2), Make(3)]);
        Assert.Equal(3, all.Batch);
        Assert.Equal([1L, 2, 3], all.ClassLabels!.ToArray<long>());
        var second = all.Narrow(1, 1);
        foreach (var member in (Tensor[])[second.Text!, second.TextMask!, second.Pooled!, second.TimeIds!])
            Assert.All(member.To(DType.Float32).ToArray<float>(), static v => Assert.Equal(2, v));
        Assert.Equal([1L, 2, 3, 1, 2, 3], all.Concat(all).ClassLabels!.ToArray<long>());
        Assert.Null(Condition.Cat([new Condition()]).Batch);
    }

    [Fact]
    public void Mismatches_are_reported()
    {
        using var scope = TensorScope.Enter();
        var text = new Condition { Text = Ops.Zeros([1, 2, 3]) };
        Assert.Null(text.Mismatch(new Condition { Text = Ops.Zeros([5, 2, 3]) }));
        Assert.Equal("Text", text.Mismatch(new Condition { Text = Ops.Zeros([1, 7, 3]) }));
        Assert.Equal("Text", text.Mismatch(new Condition()));
        Assert.Equal("Pooled", text.Mismatch(text with { Pooled = Ops.Zeros([1, 1]) }));
        Assert.Throws<ArgumentException>(() => Condition.Cat([text, new Condition()]));
    }
}
