using Retouch.Samplers;
using Retouch.Torch;

namespace Retouch.Tests.Samplers;

/// <summary>Noise of pictures: the numbers of <c>torch.Generator().manual_seed(seed)</c> in PyTorch 2.14.1.</summary>
public sealed class ImageNoiseTests
{
    /// <summary>First two and last two numbers of <c>torch.randn(4, height, width)</c>, then first and last of a second call.</summary>
    [Theory]
    [InlineData(8, 8, -0.820134521f, 0.395631164f, 0.0931241959f, -0.30043155f, 0.00634929212f, 0.437625051f)]
    [InlineData(1, 2, -0.146795094f, 0.786141276f, -0.355625033f, 1.23238575f, 0.138172656f, 1.34702265f)]
    public void A_seed_gives_the_noise_of_PyTorch(int height, int width, params float[] expected)
    {
        using var scope = TensorScope.Enter();
        using var noise = new ImageNoise([3, 7], [4, height, width], Device.Cpu);
        var first = noise.Draw().Select(0, 1).Flatten().ToArray<float>();
        var second = noise.Draw().Select(0, 1).Flatten().ToArray<float>();
        float[] drawn = [first[0], first[1], first[^2], first[^1], second[0], second[^1]];
        Assert.All(drawn.Zip(expected), static p => Assert.Equal(p.Second, p.First, 2e-6f));
    }
}
