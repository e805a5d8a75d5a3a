using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// A small classifier of pictures: four stages of two 3 x 3 convolutions, each with group normalisation (Wu and He 2018; 8 groups) and
/// SiLU, halving the sides and doubling the channels; the mean over space, the features; a linear layer. Without statistics of batches, so
/// a picture's features are its own.
/// </summary>
internal sealed class FeatureNetwork
{
    private const int Stages = 4;
    private const int Groups = 8;
    private const double Epsilon = 1e-5;

    // Levels in [0, 1] are brought to about mean 0 and deviation 1.
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

    /// <summary>[batch, 3, size, size] in [0, 1] to [batch, width].</summary>
    public Tensor Features(Tensor images)
    {
        using var scope = TensorScope.Enter();
        var x = (images - Middle) / Spread;
        foreach (var (conv, norm) in _layers)
            x = norm.ForwardSilu(conv.Forward(x));
        return scope.Keep(x.Mean([2L, 3]));
    }

    /// <summary>[batch, width] to the classes' logits.</summary>
    public Tensor Logits(Tensor features) => _head.Forward(features);
}
