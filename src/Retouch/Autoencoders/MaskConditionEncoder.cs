using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// Encodes the kept image region to feature maps, one per decoder resolution and width (Zhu et al. 2023, "Designing a Better Asymmetric
/// VQGAN for StableDiffusion"): two 3×3 convolutions at the image resolution, then 4×4 convolutions with stride 2. Keys:
/// <c>layers.*</c>.
/// </summary>
internal sealed class MaskConditionEncoder
{
    private readonly Conv2d[] _layers;

    /// <param name="path">Path of the parameters.</param>
    /// <param name="config">Decoder configuration.</param>
    public MaskConditionEncoder(ParameterPath path, AutoencoderKlConfig config)
    {
        var layers = path / "layers";
        var inputs = config.OutChannels;
        _layers =
        [
            .. Widths(config)
                .Select(
                    (outputs, k) =>
                    {
                        var layer =
                            k < 2
                                ? new Conv2d(layers / k, inputs, outputs, kernel: 3, padding: 1)
                                : new Conv2d(layers / k, inputs, outputs, kernel: 4, stride: 2, padding: 1);
                        inputs = outputs;
                        return layer;
                    }
                ),
        ];
    }

    /// <summary>
    /// Output channels of the layers. The network is designed for a downsampling by 8: its width doubles from the image resolution down
    /// to the latent resolution, up to the decoder's widest level.
    /// </summary>
    /// <param name="config">Decoder configuration.</param>
    public static IEnumerable<int> Widths(AutoencoderKlConfig config)
    {
        const int Doublings = 4;
        var (narrow, wide) = (config.BlockOutChannels[0], config.BlockOutChannels[^1]);
        for (var k = 0; k < Doublings; k++)
            yield return Math.Min(narrow << k, wide);
        yield return wide;
    }

    /// <summary>Feature maps by channels and resolution; of two layers with equal keys, the deeper one is returned.</summary>
    /// <param name="image">[N, 3, H, W], zero outside the kept region.</param>
    public Dictionary<(long Channels, long Height, long Width), Tensor> Forward(Tensor image)
    {
        var maps = new Dictionary<(long, long, long), Tensor>();
        var x = image;
        foreach (var layer in _layers)
        {
            var map = layer.Forward(x);
            maps[(map.Shape[1], map.Shape[2], map.Shape[3])] = map;
            x = map.Relu();
        }

        return maps;
    }

    /// <summary>x at mask 1, image features at mask 0.</summary>
    public static Tensor Mix(Tensor x, Dictionary<(long Channels, long Height, long Width), Tensor> kept, Tensor mask)
    {
        using var scope = TensorScope.Enter();
        var shape = x.Shape;
        var share = mask.Shape[2] == shape[2] && mask.Shape[3] == shape[3] ? mask : mask.UpsampleNearest2d([shape[2], shape[3]]);
        return scope.Keep((x * share) + (kept[(shape[1], shape[2], shape[3])] * (1 - share)));
    }
}
