using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Perception;

/// <summary>
/// Fire module of SqueezeNet: a squeezing 1 x 1 convolution, then 1 x 1 and 3 x 3 convolutions in parallel, each followed by ReLU.
/// </summary>
internal sealed class Fire(ParameterPath path, int inputs, int narrow, int wide)
{
    private readonly Conv2d _squeeze = new(path / "squeeze", inputs, narrow, 1);
    private readonly Conv2d _one = new(path / "expand1x1", narrow, wide, 1);
    private readonly Conv2d _three = new(path / "expand3x3", narrow, wide, 3, padding: 1);

    /// <summary>[batch, inputs, h, w] to [batch, 2 · wide, h, w].</summary>
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var thin = _squeeze.Forward(x).Relu();
        return scope.Keep(Ops.Cat([_one.Forward(thin), _three.Forward(thin)], 1).Relu());
    }
}
