using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Objectives.Autoencoder;

/// <summary>
/// Patch discriminator (Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017): 4 x 4 convolutions with
/// stride 2 and leaky ReLU, each with twice the channels of the one before (at most eight times the first's), one with stride 1, and one to
/// a logit for each patch. Group instead of batch normalisation, so that the logits of a picture are independent of its batch.
/// </summary>
internal sealed class Discriminator
{
    private const int Kernel = 4;
    private const int MostDoublings = 3;
    private const int Groups = 8;
    private const double Slope = 0.2;
    private const double Epsilon = 1e-5;

    private readonly Conv2d _first;
    private readonly (Conv2d Conv, GroupNorm Norm)[] _layers;
    private readonly Conv2d _last;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="channels">Channels of the first layer, a multiple of 8.</param>
    /// <param name="layers">Layers with stride 2, at least 1.</param>
    public Discriminator(ParameterPath path, int channels, int layers)
    {
        _first = new Conv2d(path / 0, 3, channels, Kernel, stride: 2, padding: 1);
        _layers = new (Conv2d, GroupNorm)[layers];
        var inputs = channels;
        for (var k = 0; k < layers; k++)
        {
            var outputs = channels << Math.Min(k + 1, MostDoublings);
            var place = path / (k + 1);
            _layers[k] = (
                new Conv2d(place / "conv", inputs, outputs, Kernel, k < layers - 1 ? 2 : 1, padding: 1, bias: false),
                new GroupNorm(place / "norm", Groups, outputs, Epsilon)
            );
            inputs = outputs;
        }

        _last = new Conv2d(path / (layers + 1), inputs, 1, Kernel, padding: 1);
    }

    /// <summary>Smallest side of a picture in pixels.</summary>
    /// <param name="layers">Layers with stride 2.</param>
    public static int Smallest(int layers) => 3 << layers;

    /// <summary>
    /// Logits of patches, above 0 for real ones: [batch, 3, height, width] to [batch, 1, height/2^layers − 2, width/2^layers − 2].
    /// </summary>
    public Tensor Forward(Tensor images)
    {
        using var scope = TensorScope.Enter();
        var x = _first.Forward(images).LeakyRelu(Slope);
        foreach (var (conv, norm) in _layers)
            x = norm.Forward(conv.Forward(x)).LeakyRelu(Slope);
        return scope.Keep(_last.Forward(x));
    }
}
