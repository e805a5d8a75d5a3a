using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

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

    private readonly (Conv2d Conv, GroupNorm Norm)[] _layers;
    private readonly Linear _head;

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

        _layers = [.. made];
        _head = new Linear(path / "classifier", inputs, config.Classes.Count);
    }

    /// <summary>Features: [batch, 3, size, size] in [0, 1] to [batch, width].</summary>
    public Tensor Features(Tensor images)
    {
        using var scope = TensorScope.Enter();
        var x = (images - Middle) / Spread;
        foreach (var (conv, norm) in _layers)
            x = norm.ForwardSilu(conv.Forward(x));
        return scope.Keep(x.Mean([2L, 3]));
    }

    /// <summary>Logits of the classes: [batch, width] to [batch, classes].</summary>
    public Tensor Logits(Tensor features) => _head.Forward(features);
}
