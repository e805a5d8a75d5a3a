using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// The features of what a masked decode keeps of an image, one map for each resolution and width of the decoder (Zhu et al. 2023,
/// "Designing a Better Asymmetric VQGAN for StableDiffusion"): two 3×3 convolutions at the image's resolution, then 4×4 ones that halve it.
/// Keys: <c>layers.*</c>.
/// </summary>
internal sealed class MaskConditionEncoder
{
    private readonly Conv2d[] _layers;

    /// <param name="path">Where it stands.</param>
    /// <param name="config">The decoder's shape.</param>
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
    /// Channels of its layers: the network is made for a downsampling by 8, doubles its width from the image's down to the latents'
    /// resolution, and never exceeds the decoder's widest level.
    /// </summary>
    /// <param name="config">The decoder's shape.</param>
    public static IEnumerable<int> Widths(AutoencoderKlConfig config)
    {
        const int Doublings = 4;
        var (narrow, wide) = (config.BlockOutChannels[0], config.BlockOutChannels[^1]);
        for (var k = 0; k < Doublings; k++)
            yield return Math.Min(narrow << k, wide);
        yield return wide;
    }

    /// <summary>Maps by resolution and channels; where two layers agree in both, the deeper one counts.</summary>
    /// <param name="image">[N, 3, H, W], zero where it is not kept.</param>
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

    /// <summary>x where the mask is 1, the image's features where it is 0.</summary>
    public static Tensor Mix(Tensor x, Dictionary<(long Channels, long Height, long Width), Tensor> kept, Tensor mask)
    {
        using var scope = TensorScope.Enter();
        var shape = x.Shape;
        var share = mask.Shape[2] == shape[2] && mask.Shape[3] == shape[3] ? mask : mask.UpsampleNearest2d([shape[2], shape[3]]);
        return scope.Keep((x * share) + (kept[(shape[1], shape[2], shape[3])] * (1 - share)));
    }
}
