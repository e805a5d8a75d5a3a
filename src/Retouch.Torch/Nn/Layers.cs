namespace Retouch.Torch.Nn;

/// <summary>y = x·Wᵀ + b over the last dimension. Keys: <c>weight</c> [out, in], <c>bias</c> [out].</summary>
public sealed class Linear
{
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="inputs">Input width.</param>
    /// <param name="outputs">Output width.</param>
    /// <param name="bias">Whether to add a bias.</param>
    /// <param name="weightInit">Initialisation of the weight; null for uniform in ±1/√inputs.</param>
    /// <param name="biasInit">Initialisation of the bias; null for uniform in ±1/√inputs.</param>
    public Linear(ParameterPath path, long inputs, long outputs, bool bias = true, Init? weightInit = null, Init? biasInit = null)
    {
        _weight = path.Parameter("weight", [outputs, inputs], weightInit ?? Inits.FanIn(inputs));
        _weight.IsAdaptable = true;
        _bias = bias ? path.Parameter("bias", [outputs], biasInit ?? Inits.FanIn(inputs)) : null;
    }

    /// <summary>Maps […, in] to […, out].</summary>
    public Tensor Forward(Tensor x)
    {
        using var wide = _weight.Widened(x);
        var y = x.Linear(wide ?? _weight.Value, _bias?.Value);
        return _weight.Adapter is { IsOn: true } adapter ? adapter.Add(x, y, convolution: null) : y;
    }
}

/// <summary>2-D convolution over NCHW. Keys: <c>weight</c> [out, in, k, k], <c>bias</c> [out].</summary>
public sealed class Conv2d
{
    private readonly Parameter _weight;
    private readonly Parameter? _bias;
    private readonly long _stride;
    private readonly long _padding;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="inputs">Input channels.</param>
    /// <param name="outputs">Output channels.</param>
    /// <param name="kernel">Side of the square kernel.</param>
    /// <param name="stride">Stride of both axes.</param>
    /// <param name="padding">Zero padding on every side.</param>
    /// <param name="bias">Whether to add a bias.</param>
    /// <param name="weightInit">Initialisation of the weight; null for uniform in ±1/√(inputs·kernel²).</param>
    /// <param name="biasInit">Initialisation of the bias; null for uniform in ±1/√(inputs·kernel²).</param>
    public Conv2d(
        ParameterPath path,
        long inputs,
        long outputs,
        long kernel,
        long stride = 1,
        long padding = 0,
        bool bias = true,
        Init? weightInit = null,
        Init? biasInit = null
    )
    {
        var fan = Inits.FanIn(inputs * kernel * kernel);
        _weight = path.Parameter("weight", [outputs, inputs, kernel, kernel], weightInit ?? fan);
        _weight.IsAdaptable = true;
        _bias = bias ? path.Parameter("bias", [outputs], biasInit ?? fan) : null;
        _stride = stride;
        _padding = padding;
    }

    /// <summary>Maps [N, in, H, W] to [N, out, H', W']. With frozen weights, the input is not saved for the backward pass.</summary>
    public Tensor Forward(Tensor x)
    {
        using var wide = _weight.Widened(x);
        var y = x.FrozenConv2d(wide ?? _weight.Value, _bias?.Value, [_stride, _stride], [_padding, _padding]);
        return _weight.Adapter is { IsOn: true } adapter ? adapter.Add(x, y, (_stride, _padding)) : y;
    }
}

/// <summary>
/// 2× nearest-neighbour upsampling and a 3×3 convolution with zero padding 1. Keys: <c>weight</c> [out, in, 3, 3], <c>bias</c> [out]
/// (optional).
/// </summary>
public sealed class UpsampleConv2d
{
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="inputs">Input channels.</param>
    /// <param name="outputs">Output channels.</param>
    /// <param name="bias">Whether to add a bias.</param>
    public UpsampleConv2d(ParameterPath path, long inputs, long outputs, bool bias = true)
    {
        var fan = Inits.FanIn(inputs * 9);
        _weight = path.Parameter("weight", [outputs, inputs, 3, 3], fan);
        _weight.IsAdaptable = true;
        _bias = bias ? path.Parameter("bias", [outputs], fan) : null;
    }

    /// <summary>
    /// Maps [N, in, H, W] to [N, out, 2·H, 2·W]. In float32 on the CPU with frozen weights, four 2×2 convolutions at the low resolution
    /// replace the 3×3 convolution at the high resolution; this path has no second derivative.
    /// </summary>
    public Tensor Forward(Tensor x)
    {
        using var wide = _weight.Widened(x);
        var y = x.UpsampleConv2d(wide ?? _weight.Value, _bias?.Value);
        return _weight.Adapter is { IsOn: true } ? Adapt(x.UpsampleNearest2d([2 * x.Shape[2], 2 * x.Shape[3]]), y) : y;
    }

    /// <summary>
    /// Maps [N, in, H, W] to [N, out, <paramref name="height"/>, <paramref name="width"/>] with nearest-neighbour upsampling; a factor
    /// of 2 uses <see cref="Forward(Tensor)"/>.
    /// </summary>
    /// <param name="x">Feature maps.</param>
    /// <param name="height">Output height.</param>
    /// <param name="width">Output width.</param>
    public Tensor Forward(Tensor x, long height, long width)
    {
        if (height == 2 * x.Shape[2] && width == 2 * x.Shape[3])
            return Forward(x);
        using var scope = TensorScope.Enter();
        var large = x.UpsampleNearest2d([height, width]);
        var weight = _weight.Widened(x) ?? _weight.Value;
        return scope.Keep(Adapt(large, large.FrozenConv2d(weight, _bias?.Value, [1, 1], [1, 1])));
    }

    private Tensor Adapt(Tensor large, Tensor y) => _weight.Adapter is { IsOn: true } adapter ? adapter.Add(large, y, (1, 1)) : y;
}

/// <summary>Group normalisation (Wu and He 2018) over NCHW. Keys: <c>weight</c>, <c>bias</c> [C].</summary>
public sealed class GroupNorm
{
    private readonly Parameter _weight;
    private readonly Parameter _bias;
    private readonly long _groups;
    private readonly double _eps;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="groups">Number of groups; must divide the channels.</param>
    /// <param name="channels">Number of channels.</param>
    /// <param name="eps">ε, added to the variance.</param>
    public GroupNorm(ParameterPath path, long groups, long channels, double eps)
    {
        if (groups < 1 || channels % groups != 0)
            throw new Core.Errors.InputException(
                $"{path.Name}: {channels} channels cannot be split into {groups} groups. Check norm_num_groups and the channel "
                    + $"counts in config.json."
            );
        _weight = path.Parameter("weight", [channels], Inits.Ones);
        _bias = path.Parameter("bias", [channels], Inits.Zeros);
        _groups = groups;
        _eps = eps;
    }

    /// <summary>[N, C, H, W], same shape; computed in the weights' dtype, so that statistics are float32 under
    /// <see cref="Autocast"/>.</summary>
    public Tensor Forward(Tensor x) => x.To(_weight.Value.DType).GroupNorm(_groups, _weight.Value, _bias.Value, _eps);

    /// <summary>
    /// Normalisation followed by SiLU, fused into one pass that saves one feature map for the backward pass. Same shape. There is no
    /// second derivative.
    /// </summary>
    public Tensor ForwardSilu(Tensor x) => x.GroupNormSilu(_weight.Value, _bias.Value, _groups, _eps);
}

/// <summary>Layer normalisation over the last dimension. Keys: <c>weight</c>, <c>bias</c> [C], if affine.</summary>
public sealed class LayerNorm
{
    private readonly Parameter? _weight;
    private readonly Parameter? _bias;
    private readonly long _channels;
    private readonly double _eps;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="channels">Size of the last dimension.</param>
    /// <param name="eps">ε, added to the variance.</param>
    /// <param name="affine">Whether to apply a learned scale and shift.</param>
    public LayerNorm(ParameterPath path, long channels, double eps, bool affine = true)
    {
        _weight = affine ? path.Parameter("weight", [channels], Inits.Ones) : null;
        _bias = affine ? path.Parameter("bias", [channels], Inits.Zeros) : null;
        _channels = channels;
        _eps = eps;
    }

    /// <summary>[…, C], same shape; computed in the weights' dtype, so that statistics are float32 under
    /// <see cref="Autocast"/>.</summary>
    public Tensor Forward(Tensor x) =>
        (_weight is null ? x : x.To(_weight.Value.DType)).LayerNorm([_channels], _weight?.Value, _bias?.Value, _eps);
}

/// <summary>Embedding table. Key: <c>weight</c> [rows, width].</summary>
public sealed class Embedding
{
    private readonly Parameter _weight;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="rows">Number of entries.</param>
    /// <param name="width">Width of an embedding.</param>
    /// <param name="init">Initialisation; null for standard normal.</param>
    public Embedding(ParameterPath path, long rows, long width, Init? init = null)
    {
        _weight = path.Parameter("weight", [rows, width], init ?? Inits.Normal(1));
        _weight.IsTable = true;
    }

    /// <summary>Maps int64 […] to […, width].</summary>
    public Tensor Forward(Tensor indices) => _weight.Value.Embedding(indices);
}
