using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.UNet;

/// <summary>
/// Combined embedding of timestep, class, and SDXL's pooled text and sizes. Keys: <c>time_embedding.*</c>, <c>class_embedding.*</c>,
/// <c>add_embedding.*</c>.
/// </summary>
internal sealed class UNetEmbeddings
{
    private readonly UNet2DConditionConfig _config;
    private readonly ParameterPath _root;
    private readonly TimestepEmbedding _time;
    private readonly Embedding? _classTable;
    private readonly TimestepEmbedding? _classVector;
    private readonly TimestepEmbedding? _addition;

    public UNetEmbeddings(ParameterPath root, UNet2DConditionConfig config)
    {
        (_root, _config) = (root, config);
        var features = config.BlockOutChannels[0];
        _time = new TimestepEmbedding(root / "time_embedding", features, config.TimeWidth);
        switch (config.ClassEmbedType)
        {
            case null when config.NumClassEmbeds is { } rows:
                _classTable = new Embedding(root / "class_embedding", rows, config.TimeWidth);
                break;
            case "timestep":
                _classVector = new TimestepEmbedding(root / "class_embedding", features, config.TimeWidth);
                break;
            case "projection":
                _classVector = new TimestepEmbedding(
                    root / "class_embedding",
                    config.ProjectionClassEmbeddingsInputDim!.Value,
                    config.TimeWidth
                );
                break;
        }

        if (config.AdditionEmbedType is not null)
            _addition = new TimestepEmbedding(root / "add_embedding", config.ProjectionClassEmbeddingsInputDim!.Value, config.TimeWidth);
    }

    /// <summary>Modulation embedding silu(time + class + addition) of the residual blocks.</summary>
    /// <param name="time">Timesteps [batch].</param>
    /// <param name="condition">Labels, pooled text and sizes, as required by the configuration.</param>
    /// <param name="type">Dtype of the result.</param>
    /// <returns>[batch, time width].</returns>
    public Tensor Forward(Tensor time, Condition condition, DType type)
    {
        using var scope = TensorScope.Enter();
        var features = (_root / "time_proj").Observe(Features(time));
        var sum = (_root / "time_embedding").Observe(_time.Forward(features.To(type)));
        if (Class(condition, time.Shape[0], type) is { } label)
            sum = sum + label;
        if (_addition is not null)
            sum = sum + (_root / "add_embedding").Observe(_addition.Forward(Addition(condition, time.Shape[0], type)));
        return scope.Keep(sum.Silu());
    }

    private Tensor Features(Tensor numbers) =>
        Sinusoid.Features(numbers, _config.BlockOutChannels[0], _config.FlipSinToCos, _config.FreqShift);

    private Tensor? Class(Condition condition, long batch, DType type)
    {
        if (_config.ClassEmbedType is "projection" or "identity")
        {
            var vector = condition.Pooled ?? throw Missing("Pooled", "a class vector");
            CheckShape(
                vector,
                batch,
                _config.ClassEmbedType == "identity" ? _config.TimeWidth : _config.ProjectionClassEmbeddingsInputDim!.Value,
                "the class vector"
            );
            return _classVector is null ? vector.To(type) : _classVector.Forward(vector.To(type));
        }

        if (_classTable is null && _classVector is null)
            return null;
        var labels =
            condition.ClassLabels
            ?? throw Missing(
                "ClassLabels",
                _classTable is null ? "a number for each sample" : $"one label per sample, {_config.NumClassEmbeds - 1} for no class"
            );
        if (labels.Dim != 1 || labels.Shape[0] != batch)
            throw new InputException($"The U-Net takes one label per sample ({batch}), not [{string.Join(", ", labels.Shape)}].");
        if (_classTable is null)
            return _classVector!.Forward(Features(labels).To(type));
        // On an accelerator this check would synchronise with the device; labels from a data source are already in range.
        if (
            labels.Device.Type == DeviceType.Cpu
            && labels.ToArray<long>() is var values
            && Array.Exists(values, v => v < 0 || v >= _config.NumClassEmbeds)
        )
            throw new InputException(
                $"Labels [{string.Join(", ", values)}] must lie between 0 and {_config.NumClassEmbeds - 1} (no class)."
            );
        return _classTable.Forward(labels);
    }

    private Tensor Addition(Condition condition, long batch, DType type)
    {
        var pooled = condition.Pooled ?? throw Missing("Pooled", "the pooled text");
        var ids = condition.TimeIds ?? throw Missing("TimeIds", "the image and crop sizes");
        var width = _config.AdditionTimeEmbedDim!.Value;
        if (
            ids.Dim != 2
            || ids.Shape[0] != batch
            || pooled.Dim != 2
            || pooled.Shape[0] != batch
            || pooled.Shape[1] + (ids.Shape[1] * width) != _config.ProjectionClassEmbeddingsInputDim
        )
        {
            throw new InputException(
                $"The U-Net takes pooled text and sizes of {batch} samples with {_config.ProjectionClassEmbeddingsInputDim} features in "
                    + $"total, {width} per size value, not "
                    + $"[{string.Join(", ", pooled.Shape)}] and [{string.Join(", ", ids.Shape)}]."
            );
        }

        var sizes = Sinusoid
            .Features(ids.Reshape([-1]), width, _config.FlipSinToCos, _config.FreqShift)
            .View([batch, ids.Shape[1] * width]);
        return Ops.Cat([pooled.To(type), sizes.To(type)], -1);
    }

    private static void CheckShape(Tensor x, long batch, long width, string what)
    {
        if (x.Dim != 2 || x.Shape[0] != batch || x.Shape[1] != width)
            throw new InputException($"The U-Net takes {what} as [{batch}, {width}], not [{string.Join(", ", x.Shape)}].");
    }

    private static ArgumentException Missing(string member, string what) => new($"This U-Net needs {what}: the condition has no {member}.");
}
