using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Perception;

/// <summary>
/// Convolutional part of an ImageNet classifier with torchvision's keys (<c>features.0.weight</c>), split into the stages that LPIPS
/// compares:
/// AlexNet (Krizhevsky 2014), VGG-16 (Simonyan and Zisserman 2015) or SqueezeNet 1.1 (Iandola et al. 2016).
/// </summary>
internal sealed class PerceptualTrunk
{
    private readonly Func<Tensor, Tensor>[][] _stages;

    private PerceptualTrunk(string name, int[] channels, Func<Tensor, Tensor>[][] stages) =>
        (Name, Channels, _stages) = (name, channels, stages);

    /// <summary>Name of the architecture.</summary>
    public string Name { get; }

    /// <summary>Output channels of each stage.</summary>
    public int[] Channels { get; }

    /// <summary>The trunk with these numbers of channels, or null.</summary>
    public static PerceptualTrunk? For(ReadOnlySpan<int> channels, ParameterPath path)
    {
        int[] alex = [64, 192, 384, 256, 256],
            vgg = [64, 128, 256, 512, 512],
            squeeze = [64, 128, 256, 384, 384, 512, 512];
        var features = path / "features";
        return channels.SequenceEqual(alex) ? new("AlexNet", alex, Alex(features))
            : channels.SequenceEqual(vgg) ? new("VGG-16", vgg, Vgg(features))
            : channels.SequenceEqual(squeeze) ? new("SqueezeNet 1.1", squeeze, Squeeze(features))
            : null;
    }

    /// <summary>Output of each stage; owned by the caller's scope.</summary>
    public Tensor[] Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var outputs = new Tensor[_stages.Length];
        for (var k = 0; k < _stages.Length; k++)
        {
            using var inner = TensorScope.Enter();
            x = scope.Keep(inner.Keep(_stages[k].Aggregate(x, static (y, layer) => layer(y))));
            outputs[k] = x;
        }

        return outputs;
    }

    private static Func<Tensor, Tensor>[][] Alex(ParameterPath path)
    {
        Func<Tensor, Tensor> Conv(int index, int inputs, int outputs, int kernel, int stride = 1)
        {
            var layer = new Conv2d(path / index, inputs, outputs, kernel, stride, kernel / 2 > 2 ? 2 : kernel / 2);
            return x => layer.Forward(x).Relu();
        }

        Func<Tensor, Tensor> pool = static x => x.MaxPool2d([3, 3], [2, 2]);
        return
        [
            [Conv(0, 3, 64, 11, 4)],
            [pool, Conv(3, 64, 192, 5)],
            [pool, Conv(6, 192, 384, 3)],
            [Conv(8, 384, 256, 3)],
            [Conv(10, 256, 256, 3)],
        ];
    }

    private static Func<Tensor, Tensor>[][] Vgg(ParameterPath path)
    {
        Func<Tensor, Tensor> Conv(int index, int inputs, int outputs)
        {
            var layer = new Conv2d(path / index, inputs, outputs, 3, padding: 1);
            return x => layer.Forward(x).Relu();
        }

        Func<Tensor, Tensor> pool = static x => x.MaxPool2d([2, 2], [2, 2]);
        return
        [
            [Conv(0, 3, 64), Conv(2, 64, 64)],
            [pool, Conv(5, 64, 128), Conv(7, 128, 128)],
            [pool, Conv(10, 128, 256), Conv(12, 256, 256), Conv(14, 256, 256)],
            [pool, Conv(17, 256, 512), Conv(19, 512, 512), Conv(21, 512, 512)],
            [pool, Conv(24, 512, 512), Conv(26, 512, 512), Conv(28, 512, 512)],
        ];
    }

    private static Func<Tensor, Tensor>[][] Squeeze(ParameterPath path)
    {
        var first = new Conv2d(path / 0, 3, 64, 3, stride: 2);
        Func<Tensor, Tensor> Module(int index, int inputs, int narrow, int wide) => new Fire(path / index, inputs, narrow, wide).Forward;
        Func<Tensor, Tensor> pool = static x => x.MaxPool2d([3, 3], [2, 2], ceilMode: true);
        return
        [
            [x => first.Forward(x).Relu()],
            [pool, Module(3, 64, 16, 64), Module(4, 128, 16, 64)],
            [pool, Module(6, 128, 32, 128), Module(7, 256, 32, 128)],
            [pool, Module(9, 256, 48, 192)],
            [Module(10, 384, 48, 192)],
            [Module(11, 384, 64, 256)],
            [Module(12, 512, 64, 256)],
        ];
    }
}
