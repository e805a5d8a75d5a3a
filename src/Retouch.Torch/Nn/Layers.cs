namespace Retouch.Torch.Nn;

/// <summary>y = x·Wᵀ + b over the last dimension. Keys: <c>weight</c> [out, in], <c>bias</c> [out].</summary>
public sealed class Linear
{
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    /// <param name="path">Where it stands.</param>
    /// <param name="inputs">Size of the last dimension of the input.</param>
    /// <param name="outputs">Size of the last dimension of the output.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="weightInit">Start of the weight; uniform in ±1/√inputs by default.</param>
    /// <param name="biasInit">Start of the bias; as the weight by default.</param>
    public Linear(ParameterPath path, long inputs, long outputs, bool bias = true, Init? weightInit = null, Init? biasInit = null)
    {
        _weight = path.Parameter("weight", [outputs, inputs], weightInit ?? Inits.FanIn(inputs));
        _weight.IsAdaptable = true;
        _bias = bias ? path.Parameter("bias", [outputs], biasInit ?? Inits.FanIn(inputs)) : null;
    }

    /// <summary>[…, in] to […, out].</summary>
    public Tensor Forward(Tensor x)
    {
        var y = x.Linear(_weight.Value, _bias?.Value);
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

    /// <param name="path">Where it stands.</param>
    /// <param name="inputs">Input channels.</param>
    /// <param name="outputs">Output channels.</param>
    /// <param name="kernel">Side of the square kernel.</param>
    /// <param name="stride">Step in both directions.</param>
    /// <param name="padding">Zeros on each side.</param>
    /// <param name="bias">Whether there is a bias.</param>
    /// <param name="weightInit">Start of the weight; uniform in ±1/√(inputs·kernel²) by default.</param>
    /// <param name="biasInit">Start of the bias; as the weight by default.</param>
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

    /// <summary>[N, in, H, W] to [N, out, H', W']. Where the weights are frozen, the input is not kept for the backward pass.</summary>
    public Tensor Forward(Tensor x)
    {
        var y = x.FrozenConv2d(_weight.Value, _bias?.Value, [_stride, _stride], [_padding, _padding]);
        return _weight.Adapter is { IsOn: true } adapter ? adapter.Add(x, y, (_stride, _padding)) : y;
    }
}

/// <summary>
/// Nearest-neighbour doubling of both sides, then a 3×3 convolution with one zero on each side. Keys: <c>weight</c> [out, in, 3, 3],
/// <c>bias</c> [out], when there is one.
/// </summary>
public sealed class UpsampleConv2d
{
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    /// <param name="path">Where it stands.</param>
    /// <param name="inputs">Input channels.</param>
    /// <param name="outputs">Output channels.</param>
    /// <param name="bias">Whether there is a bias.</param>
    public UpsampleConv2d(ParameterPath path, long inputs, long outputs, bool bias = true)
    {
        var fan = Inits.FanIn(inputs * 9);
        _weight = path.Parameter("weight", [outputs, inputs, 3, 3], fan);
        _bias = bias ? path.Parameter("bias", [outputs], fan) : null;
    }

    /// <summary>
    /// [N, in, H, W] to [N, out, 2·H, 2·W]. In float32 on the CPU, where the weights are frozen, four 2×2 convolutions at the low
    /// resolution do the work of one 3×3 at the high one; there is no second derivative then.
    /// </summary>
    public Tensor Forward(Tensor x) => x.UpsampleConv2d(_weight.Value, _bias?.Value);

    /// <summary>
    /// [N, in, H, W] to [N, out, <paramref name="height"/>, <paramref name="width"/>], each pixel from its nearest; doubling takes the way
    /// of <see cref="Forward(Tensor)"/>.
    /// </summary>
    /// <param name="x">Maps.</param>
    /// <param name="height">Rows put out.</param>
    /// <param name="width">Columns put out.</param>
    public Tensor Forward(Tensor x, long height, long width)
    {
        if (height == 2 * x.Shape[2] && width == 2 * x.Shape[3])
            return Forward(x);
        using var scope = TensorScope.Enter();
        return scope.Keep(x.UpsampleNearest2d([height, width]).FrozenConv2d(_weight.Value, _bias?.Value, [1, 1], [1, 1]));
    }
}

/// <summary>Group normalisation (Wu and He 2018) over NCHW. Keys: <c>weight</c>, <c>bias</c> [C].</summary>
public sealed class GroupNorm
{
    private readonly Parameter _weight;
    private readonly Parameter _bias;
    private readonly long _groups;
    private readonly double _eps;

    /// <param name="path">Where it stands.</param>
    /// <param name="groups">Groups that the channels are split into; must divide them.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="eps">Added to the variance.</param>
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

    /// <summary>The shape stays; computed in the weights' type, so that statistics are float32 under <see cref="Autocast"/>.</summary>
    public Tensor Forward(Tensor x) => x.To(_weight.Value.DType).GroupNorm(_groups, _weight.Value, _bias.Value, _eps);

    /// <summary>
    /// Normalisation followed by y·sigmoid(y), in one pass and with one map kept for the backward pass. The shape stays. There is no second
    /// derivative.
    /// </summary>
    public Tensor ForwardSilu(Tensor x) => x.GroupNormSilu(_weight.Value, _bias.Value, _groups, _eps);
}

/// <summary>Layer normalisation over the last dimension. Keys: <c>weight</c>, <c>bias</c> [C], when affine.</summary>
public sealed class LayerNorm
{
    private readonly Parameter? _weight;
    private readonly Parameter? _bias;
    private readonly long _channels;
    private readonly double _eps;

    /// <param name="path">Where it stands.</param>
    /// <param name="channels">Size of the last dimension.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="affine">Whether a learned scale and shift follow.</param>
    public LayerNorm(ParameterPath path, long channels, double eps, bool affine = true)
    {
        _weight = affine ? path.Parameter("weight", [channels], Inits.Ones) : null;
        _bias = affine ? path.Parameter("bias", [channels], Inits.Zeros) : null;
        _channels = channels;
        _eps = eps;
    }

    /// <summary>The shape stays; computed in the weights' type, so that statistics are float32 under <see cref="Autocast"/>.</summary>
    public Tensor Forward(Tensor x) =>
        (_weight is null ? x : x.To(_weight.Value.DType)).LayerNorm([_channels], _weight?.Value, _bias?.Value, _eps);
}

/// <summary>A table of vectors. Key: <c>weight</c> [rows, width].</summary>
public sealed class Embedding
{
    private readonly Parameter _weight;

    /// <param name="path">Where it stands.</param>
    /// <param name="rows">Entries.</param>
    /// <param name="width">Length of each.</param>
    /// <param name="init">Start; standard normal by default.</param>
    public Embedding(ParameterPath path, long rows, long width, Init? init = null)
    {
        _weight = path.Parameter("weight", [rows, width], init ?? Inits.Normal(1));
        _weight.IsTable = true;
    }

    /// <summary>int64 […] to […, width].</summary>
    public Tensor Forward(Tensor indices) => _weight.Value.Embedding(indices);
}
