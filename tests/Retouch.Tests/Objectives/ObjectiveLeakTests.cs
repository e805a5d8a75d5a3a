using Retouch.Objectives;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Tests.Objectives;

[Collection(LiveTensorCollection.Name)]
public sealed class ObjectiveLeakTests
{
    private static readonly double[] Times = [0.9, 0.2, 0.6, 0.95, 0.1];

    [Fact]
    public void Without_gradients_values_are_equal_and_tensors_freed()
    {
        using var outer = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var step = new Step(Times);
        var set = new ObjectiveSet(
            new()
            {
                Perceptual = new() { Weight = 3 },
                Pixel = new() { Weight = 2 },
                CheckpointDecoder = true,
            },
            decoder
        );
        var expected = step.Differentiate(set).Total;
        Assert.True(decoder.Calls.Where(static c => c.Recorded).All(static c => c.Request.Checkpoint));
        decoder.Calls.Clear();
        var before = Tensor.LiveCount;
        using (TensorScope.Enter())
        using (Autograd.NoGrad())
            Assert.Equal(expected, set.Evaluate(step.Inputs()).Total.Item(), 1e-13);
        Assert.DoesNotContain(decoder.Calls, static c => c.Recorded || c.Request.Checkpoint);
        Assert.Equal(before, Tensor.LiveCount);
        step.Differentiate(set);
        Assert.Equal(before, Tensor.LiveCount);
    }

    [Fact]
    public void Of_a_loss_between_latents_only_the_result_remains()
    {
        using var outer = TensorScope.Enter();
        using var decoder = new ScriptedDecoder();
        var inputs = new Step(Times).Inputs();
        var before = Tensor.LiveCount;
        using (Autograd.NoGrad())
        {
            using var loss = LatentPerceptualLoss.Between(decoder, inputs.Noisy.Clean, inputs.Estimate.Z0, level: inputs.Noisy.Level);
            Assert.Equal(before + 1, Tensor.LiveCount);
        }

        using (var scope = TensorScope.Enter())
        {
            var loss = LatentPerceptualLoss.Between(decoder, inputs.Noisy.Clean, inputs.Estimate.Z0);
            Assert.NotNull(Autograd.Grad([loss], [inputs.Estimate.Z0.Value])[0]);
        }

        Assert.Equal(before, Tensor.LiveCount);
    }
}
