using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.UNet;

/// <summary>
/// x + conv2(silu(norm2(conv1(silu(norm1(x))) + time))), with a 1×1 convolution on the shortcut if the channel count changes;
/// optionally the timestep scales and shifts the output of norm2 instead. Keys: <c>norm1</c>, <c>conv1</c>, <c>time_emb_proj</c>,
/// <c>norm2</c>,
/// <c>conv2</c>, <c>conv_shortcut</c>.
/// </summary>
internal sealed class UNetResidualBlock
{
    private readonly GroupNorm _norm1;
    private readonly Conv2d _conv1;
    private readonly Linear _time;
    private readonly GroupNorm _norm2;
    private readonly Conv2d _conv2;
    private readonly Conv2d? _shortcut;
    private readonly bool _modulates;
    private readonly double _divisor;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="inputs">Input channels.</param>
    /// <param name="outputs">Output channels.</param>
    /// <param name="config">Network configuration.</param>
    /// <param name="divisor">Divisor of the output.</param>
    public UNetResidualBlock(ParameterPath path, int inputs, int outputs, UNet2DConditionConfig config, double divisor = 1)
    {
        _modulates = config.ResnetTimeScaleShift == "scale_shift";
        _divisor = divisor;
        _norm1 = new GroupNorm(path / "norm1", config.NormNumGroups, inputs, config.NormEps);
        _conv1 = new Conv2d(path / "conv1", inputs, outputs, kernel: 3, padding: 1);
        _time = new Linear(path / "time_emb_proj", config.TimeWidth, _modulates ? 2L * outputs : outputs);
        _norm2 = new GroupNorm(path / "norm2", config.NormNumGroups, outputs, config.NormEps);
        _conv2 = new Conv2d(path / "conv2", outputs, outputs, kernel: 3, padding: 1);
        _shortcut = inputs == outputs ? null : new Conv2d(path / "conv_shortcut", inputs, outputs, kernel: 1);
    }

    /// <summary>Maps [batch, inputs, height, width] to [batch, outputs, height, width].</summary>
    /// <param name="x">Feature maps.</param>
    /// <param name="embedding">Modulation embedding [batch, time width].</param>
    public Tensor Forward(Tensor x, Tensor embedding)
    {
        using var scope = TensorScope.Enter();
        var time = _time.Forward(embedding).Unsqueeze(-1).Unsqueeze(-1);
        Tensor result;
        using (var hidden = First(x))
        using (var active = Second(hidden, time))
            result = _conv2.Forward(active);
        // The output of a convolution or matrix product is a new tensor that autograd does not save, so in-place addition is safe.
        result.PlusInPlace(_shortcut?.Forward(x) ?? x);
        return scope.Keep(_divisor == 1 ? result : result / _divisor);
    }

    private Tensor First(Tensor x)
    {
        using var active = _norm1.ForwardSilu(x);
        return _conv1.Forward(active);
    }

    private Tensor Second(Tensor hidden, Tensor time)
    {
        if (!_modulates)
            return _norm2.ForwardSilu(hidden.PlusInPlace(time));
        var parts = time.Chunk(2, 1);
        using var norm = _norm2.Forward(hidden);
        using var modulated = Ops.Addcmul(parts[1], norm, parts[0] + 1);
        return modulated.Silu();
    }
}
