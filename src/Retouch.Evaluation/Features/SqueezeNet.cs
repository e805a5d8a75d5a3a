using Retouch.Perception;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// SqueezeNet 1.0 (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016). Keys: <c>conv1</c>, <c>fire2</c>
/// to <c>fire9</c> (<c>.squeeze</c>, <c>.expand1x1</c>, <c>.expand3x3</c>), <c>conv10</c>.
/// </summary>
internal sealed class SqueezeNet
{
    /// <summary>Channels of the last fire module: the width of the features.</summary>
    public const int Width = 512;

    private const int Classes = 1000;

    // Squeeze and expand channels of fire2 to fire9.
    private static readonly (int Narrow, int Wide)[] Sizes =
    [
        (16, 64),
        (16, 64),
        (32, 128),
        (32, 128),
        (48, 192),
        (48, 192),
        (64, 256),
        (64, 256),
    ];

    private readonly Conv2d _first;
    private readonly Fire[] _fires;
    private readonly Conv2d _last;

    public SqueezeNet(ParameterPath path)
    {
        _first = new Conv2d(path / "conv1", 3, 96, 7, stride: 2);
        var inputs = 96;
        _fires = new Fire[Sizes.Length];
        for (var k = 0; k < _fires.Length; k++)
        {
            var (narrow, wide) = Sizes[k];
            _fires[k] = new Fire(path / $"fire{k + 2}", inputs, narrow, wide);
            inputs = 2 * wide;
        }

        // The padding of the published classifier.
        _last = new Conv2d(path / "conv10", inputs, Classes, 1, padding: 1);
    }

    /// <summary>[batch, 3, h, w], BGR levels less their means, to the output of the last fire module [batch, 512, h/16, w/16].</summary>
    public Tensor Features(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var y = Pool(_first.Forward(x).Relu());
        for (var k = 0; k < _fires.Length; k++)
        {
            y = _fires[k].Forward(y);
            // After fire4 and fire8.
            if (k is 2 or 6)
                y = Pool(y);
        }

        return scope.Keep(y);
    }

    /// <summary>Output of <see cref="Features"/>, [batch, 512, h, w], to the logits of the ImageNet classes [batch, 1000].</summary>
    public Tensor Logits(Tensor features)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(_last.Forward(features).Relu().Mean([2L, 3]));
    }

    private static Tensor Pool(Tensor x) => x.MaxPool2d([3, 3], [2, 2], ceilMode: true);
}
