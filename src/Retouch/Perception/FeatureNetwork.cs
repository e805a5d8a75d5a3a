using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Perception;

/// <summary>
/// Small image classifier: four stages of two 3 x 3 convolutions with group normalisation (Wu and He 2018; 8 groups) and SiLU; each stage
/// halves the resolution and doubles the channels. Features are the spatial mean of the last stage, followed by a linear layer. No batch
/// statistics: the features of a picture are independent of its batch.
/// </summary>
internal sealed class FeatureNetwork
{
    private const int Stages = 4;
    private const int Groups = 8;
    private const double Epsilon = 1e-5;

    // Maps levels in [0, 1] to about zero mean and unit variance.
    private const double Middle = 0.5;
    private const double Spread = 0.25;

    private const string WeightsName = "model.safetensors";

    private readonly (Conv2d Conv, GroupNorm Norm)[] _layers;
    private readonly Linear _head;
    private readonly long _size;

    public FeatureNetwork(FeatureNetworkConfig config, ParameterPath path)
    {
        List<(Conv2d, GroupNorm)> made = [];
        var inputs = 3;
        for (var stage = 0; stage < Stages; stage++)
        {
            var outputs = config.Channels << stage;
            for (var k = 0; k < 2; k++)
            {
                var place = path / "stages" / stage / k;
                made.Add(
                    (
                        new Conv2d(place / "conv", inputs, outputs, 3, stride: 1 + k, padding: 1),
                        new GroupNorm(place / "norm", outputs % Groups == 0 ? Groups : 4, outputs, Epsilon)
                    )
                );
                inputs = outputs;
            }
        }

        _size = config.Size;
        _layers = [.. made];
        _head = new Linear(path / "classifier", inputs, config.Classes.Count);
    }

    /// <summary>File of the weights in a folder of a feature network.</summary>
    public static string WeightsOf(string folder) => Path.Combine(folder, WeightsName);

    /// <summary>Loads the weights of a folder.</summary>
    /// <param name="store">Parameters of the network.</param>
    /// <param name="folder">Folder written by <c>retouch features</c>.</param>
    /// <param name="device">Device of the network.</param>
    /// <exception cref="Core.Errors.InputException">The file cannot be read, or belongs to another network.</exception>
    public static void Load(ParameterStore store, string folder, Device device) =>
        FeatureWeights.Load(store, WeightsOf(folder), "the feature network of its config.json", static _ => false, device);

    /// <summary>Pictures [batch, 3, height, width] in the size of the network's input, as float32: bilinear with antialias.</summary>
    public Tensor Resized(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        var x = images.To(DType.Float32);
        return x.Shape[2] == _size && x.Shape[3] == _size ? x : Ops.UpsampleBilinear2dAa(x, [_size, _size], false);
    }

    /// <summary>Features: [batch, 3, size, size] in [0, 1] to [batch, width].</summary>
    public Tensor Features(Tensor images)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(StagesOf(images)[^1].Mean([2L, 3]));
    }

    /// <summary>Output of each stage; owned by the caller's scope.</summary>
    /// <param name="images">[batch, 3, size, size] in [0, 1].</param>
    public Tensor[] StagesOf(Tensor images)
    {
        using var scope = TensorScope.Enter();
        var x = (images - Middle) / Spread;
        var outputs = new Tensor[Stages];
        for (var k = 0; k < _layers.Length; k++)
        {
            x = _layers[k].Norm.ForwardSilu(_layers[k].Conv.Forward(x));
            if (k % 2 == 1)
                outputs[k / 2] = scope.Keep(x);
        }

        return outputs;
    }

    /// <summary>Logits of the classes: [batch, width] to [batch, classes].</summary>
    public Tensor Logits(Tensor features) => _head.Forward(features);
}
